// The calls about WebAssembly modules.

import Core

extension Client {
  private func unexpected(_ response: Response) -> RoostError {
    RoostError(.protocolViolation, "the reply is a \(response.opcode)", at: "\(address)")
  }

  /// Publishes a WebAssembly module as the next version under a name.
  ///
  /// Throws `.permissionDenied` when the node does not take it without another signature, `.invalidArgument`
  /// when it is no module or does not fit what uses the name.
  @discardableResult
  public func publishModule(
    _ name: String, bytes: [UInt8], signature: ModuleSignature? = nil, placement: ModulePlacement = .current,
    options: CallOptions = CallOptions()
  ) async throws(RoostError) -> ModuleDescription {
    try validateName(name, what: "module")
    let request = PublishModuleRequest(name: name, bytes: bytes, signature: signature, placement: placement)
    let response = try await call(.publishModule(request), options)
    guard case .publishModule(let module) = response else { throw unexpected(response) }
    return module
  }

  /// All modules by name, without their metrics.
  public func listModules(options: CallOptions = CallOptions()) async throws(RoostError) -> [ModuleStatus] {
    let response = try await call(.listModules, options)
    guard case .listModules(let modules) = response else { throw unexpected(response) }
    return modules
  }

  /// A module with its metrics. Throws `.notFound`.
  public func inspectModule(
    _ name: String, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> ModuleStatus {
    let response = try await call(.inspectModule(ModuleRequest(name: name)), options)
    guard case .inspectModule(let module) = response else { throw unexpected(response) }
    return module
  }

  /// Changes which versions serve, or what the module may do. Returns what it is then, nil when it is gone.
  ///
  /// Throws `.notFound` for a module or a version that is not there, `.invalidArgument` for a change that makes no
  /// sense.
  @discardableResult
  public func changeModule(
    _ name: String, _ change: ModuleChange, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> ModuleStatus? {
    let response = try await call(.changeModule(ChangeModuleRequest(name: name, change: change)), options)
    guard case .changeModule(let module) = response else { throw unexpected(response) }
    return module
  }
}
