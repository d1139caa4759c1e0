// Modules as the operator handles them: publish, change, and the check that what becomes current fits the
// collections that use it.

import Core
import Wasm
import Wire

extension Coordinator {
  func publish(_ request: PublishModuleRequest) async throws(RoostError) -> ModuleDescription {
    let module = try await modules.publish(request, keeping: usedVersions(of: request.name)) {
      [users = users(of: request.name)] (module) throws(RoostError) in
      try Coordinator.check(module, fits: users)
    }
    forgetFailures(of: request.name)
    reembedder.check(self)
    return module
  }

  func change(_ request: ChangeModuleRequest) async throws(RoostError) -> ModuleStatus? {
    if case .delete(nil) = request.change, let user = users(of: request.name).first {
      throw RoostError(
        .invalidArgument, "collection '\(user.name)' uses module '\(request.name)'",
        at: "module \(request.name)", remedy: "drop the collection first")
    }
    let status = try await modules.change(
      request.name, request.change, keeping: usedVersions(of: request.name)
    ) { [users = users(of: request.name)] (module) throws(RoostError) in
      try Coordinator.check(module, fits: users)
    }
    forgetFailures(of: request.name)
    reembedder.check(self)
    return status
  }

  /// At the start: notes the version of collections that have none noted, and goes on with what was interrupted.
  func settleEmbedders() async throws(RoostError) {
    for hosted in collections.open {
      guard let embedder = hosted.collection.schema.embedder, hosted.generation.embedder == nil,
        let version = modules.currentVersion(of: embedder.module)
      else { continue }
      try await collections.record(version, for: hosted)
    }
    reembedder.check(self)
  }

  /// Versions that made the vectors of some collection, or are about to.
  private func usedVersions(of module: String) -> Set<Digest> {
    var digests: Set<Digest> = []
    for user in users(of: module) {
      if let version = user.generation.embedder { digests.insert(version.digest) }
      if let progress = user.reembedding.withLock({ $0 }) { digests.insert(progress.target.digest) }
    }
    return digests
  }

  /// Whoever changes the module wants it tried again.
  private func forgetFailures(of module: String) {
    for user in users(of: module) {
      user.reembedding.withLock { progress in
        if progress?.failure != nil { progress = nil }
      }
    }
  }

  private func users(of module: String) -> [HostedCollection] {
    collections.open.filter { hosted in
      let schema = hosted.collection.schema
      return schema.embedder?.module == module || schema.transforms.contains { $0.module == module }
    }
  }

  /// Refuses a module that cannot become the current one for the collections that use it.
  private static func check(_ module: WasmModule, fits users: [HostedCollection]) throws(RoostError) {
    for user in users {
      let schema = user.collection.schema
      if schema.embedder?.module == module.name { try check(module, embeds: schema, of: user.name) }
      if schema.transforms.contains(where: { $0.module == module.name }) { try module.require(.transform) }
    }
  }

  /// Refuses an embedder whose vectors a collection cannot hold.
  static func check(_ module: WasmModule, embeds schema: CollectionSchema, of name: String) throws(RoostError)
  {
    guard let dimension = module.dimension else {
      throw RoostError(
        .invalidArgument,
        "module '\(module.name)' is \(module.kind.withArticle), collection '\(name)' needs an embedder",
        at: "module \(module.name)")
    }
    let index = try schema.index(ofField: schema.embedder?.vectorField ?? "", at: "schema.embedder")
    let field = schema.fields[index]
    guard dimension == field.dimension, field.element.isFloat else {
      throw RoostError(
        .invalidArgument,
        "module '\(module.name)' gives \(dimension) f32, collection '\(name)' holds \(field.dimension) "
          + field.element.name, at: "module \(module.name)")
    }
  }
}

extension EmbedderReference {
  /// The version that made the vectors of a collection, so that those of two versions never meet; the current one
  /// for a collection that has none noted.
  func selector(_ version: EmbedderVersion?) -> ModuleSelector {
    ModuleSelector(name: module, choice: version.map { .digest($0.digest.text) } ?? .current)
  }
}
