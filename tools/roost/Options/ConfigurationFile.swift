// The TOML file behind --config. Every setting is also a flag, and flags win.

import Core
import Foundation
import TOMLKit

/// Settings read from a file, by dotted name. Unknown names and wrong types are errors: a setting that is
/// silently ignored is worse than none.
struct ConfigurationFile {
  enum Kind: String {
    case text, integer, flag, texts
  }

  /// Every setting that there is.
  static let known: [String: Kind] = [
    "client.address": .text,
    "client.timeout-ms": .integer,
    "serve.data": .text,
    "serve.listen": .text,
    "serve.memory": .text,
    "serve.sync": .text,
    "serve.cores": .integer,
    "serve.poll-us": .integer,
    "serve.log-level": .text,
    "serve.connections": .integer,
    "serve.requests-per-connection": .integer,
    "serve.queries-per-core": .integer,
    "serve.write-memory": .text,
    "serve.deadline-ms": .integer,
    "serve.idle-timeout-ms": .integer,
    "serve.slow-reader-timeout-ms": .integer,
    "serve.drain-timeout-ms": .integer,
    "serve.memtable-rows": .integer,
    "serve.compaction": .flag,
    "serve.module-memory": .text,
    "serve.filter-deadline-ms": .integer,
    "serve.embed-deadline-ms": .integer,
    "serve.require-signature": .flag,
    "serve.trusted-keys": .texts,
    "serve.module-grants": .texts,
  ]

  private var texts: [String: String] = [:]
  private var integers: [String: Int] = [:]
  private var flags: [String: Bool] = [:]
  private var lists: [String: [String]] = [:]

  func text(_ name: String) -> String? {
    precondition(ConfigurationFile.known[name] == .text)
    return texts[name]
  }

  func integer(_ name: String) -> Int? {
    precondition(ConfigurationFile.known[name] == .integer)
    return integers[name]
  }

  func flag(_ name: String) -> Bool? {
    precondition(ConfigurationFile.known[name] == .flag)
    return flags[name]
  }

  func texts(_ name: String) -> [String]? {
    precondition(ConfigurationFile.known[name] == .texts)
    return lists[name]
  }

  /// Reads the file; an empty configuration for nil. Throws `.notFound` or `.invalidArgument`.
  static func read(_ path: String?) throws(RoostError) -> ConfigurationFile {
    guard let path else { return ConfigurationFile() }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw RoostError(.notFound, "cannot read the configuration", at: path, remedy: "check --config")
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw RoostError(.invalidArgument, "the configuration is not valid UTF-8", at: path)
    }
    return try ConfigurationFile(toml: text, path: path)
  }

  private init() {}

  init(toml text: String, path: String) throws(RoostError) {
    let table: TOMLTable
    do {
      table = try TOMLTable(string: text)
    } catch let error as TOMLParseError {
      let position = error.source.begin
      throw RoostError(
        .invalidArgument, "\(error.description)",
        at: "\(path) line \(position.line) column \(position.column)")
    } catch {
      throw RoostError(.invalidArgument, "\(error)", at: path)
    }
    for section in table.keys.sorted() {
      guard let settings = table[section]?.table else { throw ConfigurationFile.unknown(section, path) }
      for name in settings.keys.sorted() {
        try set("\(section).\(name)", settings[name], path)
      }
    }
  }

  private mutating func set(
    _ name: String, _ value: (any TOMLValueConvertible)?, _ path: String
  ) throws(RoostError) {
    guard let kind = ConfigurationFile.known[name] else { throw ConfigurationFile.unknown(name, path) }
    switch kind {
    case .text:
      if let text = value?.string {
        texts[name] = text
        return
      }
    case .integer:
      if let number = value?.int {
        integers[name] = number
        return
      }
    case .flag:
      if let flag = value?.bool {
        flags[name] = flag
        return
      }
    case .texts:
      if let array = value?.array {
        let list = array.compactMap(\.string)
        if list.count == array.count {
          lists[name] = list
          return
        }
      }
    }
    throw RoostError(.invalidArgument, "'\(name)' must be \(ConfigurationFile.noun(kind))", at: path)
  }

  private static func noun(_ kind: Kind) -> String {
    switch kind {
    case .text: "text in quotes"
    case .integer: "a whole number"
    case .flag: "true or false"
    case .texts: "a list of texts in quotes"
    }
  }

  private static func unknown(_ name: String, _ path: String) -> RoostError {
    RoostError(
      .invalidArgument, "unknown setting '\(name)'", at: path,
      remedy: "the settings are \(known.keys.sorted().joined(separator: ", "))")
  }
}
