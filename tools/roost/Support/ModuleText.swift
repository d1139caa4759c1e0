// A module for people and for programs.

import Core
import Foundation
import Wire

enum ModuleText {
  /// What `roost module inspect` shows.
  static func report(_ module: ModuleStatus) -> String {
    var lines = ["module \(module.name)"]
    lines.append(
      "current   " + (module.current.map { "version \($0)\(module.isPinned ? ", pinned" : "")" } ?? "none"))
    if let canary = module.canary { lines.append("canary    version \(canary.version), \(canary.percent)%") }
    if let last = module.previous.last { lines.append("rollback  to version \(last)") }
    lines.append("may use   \(module.grants.isEmpty ? "nothing" : module.grants.joined(separator: ", "))")
    if !module.state.fields.isEmpty { lines.append("state     \(module.state.json.text)") }
    if module.quota != .unlimited {
      let calls = module.quota.calls == 0 ? [] : ["\(module.quota.calls) calls at a time"]
      lines.append(
        "quota     \((calls + ["\(module.quota.cpuPercent)% of the processor"]).joined(separator: ", "))")
    }
    var table = Table(
      ("version", .right), ("kind", .left), ("size", .right), ("published", .left), ("sha256", .left),
      ("signed by", .left), ("model", .left))
    for version in module.versions.reversed() {
      table.add(
        "\(version.version)", version.kind.name, Figures.bytes(version.byteCount), date(version.publishedMs),
        String(version.sha256.prefix(12)), version.signer.map { String($0.prefix(20)) + "…" } ?? "–",
        version.modelSHA256.map { String($0.prefix(12)) } ?? "–")
    }
    lines += ["", table.text(width: Console.columns)]
    for version in module.versions {
      if let failure = version.failure {
        lines.append("version \(version.version) cannot be used: \(failure)")
      }
    }
    return lines.joined(separator: "\n")
  }

  /// The versions that served a search.
  static func served(_ modules: [ModuleVersion]) -> String {
    modules.isEmpty
      ? ""
      : "\nserved by "
        + modules.map { "\($0.name) version \($0.version) (\($0.sha256.prefix(12)))" }
        .joined(separator: ", ")
  }

  private static func date(_ milliseconds: UInt64) -> String {
    Date(timeIntervalSince1970: Double(milliseconds) / 1_000).formatted(.iso8601)
  }
}

extension ModuleDescription {
  var json: JSON {
    .object([
      "name": .string(name), "version": JSON(Int(version)), "kind": .string(kind.name),
      "bytes": JSON(byteCount), "sha256": .string(sha256),
      "model_sha256": modelSHA256.map { .string($0) }, "exports": .array(exports.map { .string($0) }),
      "signer": signer.map { .string($0) }, "published_ms": JSON(publishedMs),
      "failure": failure.map { .string($0) },
    ])
  }
}

extension ModuleStatus {
  var json: JSON {
    .object([
      "name": .string(name), "current": current.map { JSON(Int($0)) },
      "previous": .array(previous.map { JSON(Int($0)) }),
      "canary": canary.map {
        .object(["version": JSON(Int($0.version)), "percent": JSON(Int($0.percent))])
      },
      "pinned": .bool(isPinned), "grants": .array(grants.map { .string($0) }),
      "quota": .object(["calls": JSON(Int(quota.calls)), "cpu_percent": JSON(Int(quota.cpuPercent))]),
      "state": state.json,
      "versions": .array(versions.map(\.json)), "metrics": metrics.json,
    ])
  }
}

extension ModuleVersion {
  var json: JSON {
    .object(["name": .string(name), "version": JSON(Int(version)), "sha256": .string(sha256)])
  }
}
