// A module with all its versions: which serve, what it may do, how it is doing; and changes of these.

import Core

/// What a module may use of the node while it runs, all its versions together.
public struct ModuleQuota: Sendable, Equatable {
  /// Queries and embedding pieces at a time; 0 for the node's own limits alone.
  public var calls: UInt16
  /// Share of all cores' time, in percent; 100 for no limit.
  public var cpuPercent: UInt8

  public static let unlimited = ModuleQuota(calls: 0, cpuPercent: 100)

  public init(calls: UInt16, cpuPercent: UInt8) {
    self.calls = calls
    self.cpuPercent = cpuPercent
  }

  package func encode(into writer: inout ByteWriter) {
    writer.u16(calls)
    writer.u8(cpuPercent)
  }

  package init(from reader: inout ByteReader) throws(RoostError) {
    calls = try reader.u16()
    cpuPercent = try reader.u8()
    guard (1...100).contains(cpuPercent) else {
      throw RoostError(.corrupted, "a share of \(cpuPercent)%", at: "byte \(reader.offset - 1)")
    }
  }
}

/// The version that gets a share of the requests for trial.
public struct ModuleCanary: Sendable, Hashable {
  public var version: UInt32
  /// Of the requests that name no version, 1 to 100.
  public var percent: UInt8

  public init(version: UInt32, percent: UInt8) {
    self.version = version
    self.percent = percent
  }
}

/// A module of the registry.
public struct ModuleStatus: Sendable, Equatable {
  public var name: String
  /// Ascending by version.
  public var versions: [ModuleDescription]
  /// The version that queries get; nil when none has been made current yet.
  public var current: UInt32?
  /// What was current before, the latest last: where a rollback goes.
  public var previous: [UInt32]
  public var canary: ModuleCanary?
  /// Publishing does not change what is current.
  public var isPinned: Bool
  /// Names of the capabilities that it may use.
  public var grants: [String]
  public var quota: ModuleQuota
  /// What it finds by key, if it may: the map that the operator has set for it.
  public var state: Payload
  /// Figures since the start of the node, by version; new names may come with every release.
  public var metrics: Payload

  public init(
    name: String, versions: [ModuleDescription], current: UInt32?, previous: [UInt32] = [],
    canary: ModuleCanary? = nil, isPinned: Bool = false, grants: [String] = [],
    quota: ModuleQuota = .unlimited, state: Payload = Payload(), metrics: Payload = Payload()
  ) {
    self.name = name
    self.versions = versions
    self.current = current
    self.previous = previous
    self.canary = canary
    self.isPinned = isPinned
    self.grants = grants
    self.quota = quota
    self.state = state
    self.metrics = metrics
  }

  static let versionsMax = 1_024
  static let grantsMax = 64

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(name)
    body.bytes.count(versions.count)
    for version in versions { version.encode(into: &body) }
    body.bytes.u32(current ?? 0)
    body.bytes.count(previous.count)
    for version in previous { body.bytes.u32(version) }
    body.bytes.u8(canary == nil ? 0 : 1)
    if let canary {
      body.bytes.u32(canary.version)
      body.bytes.u8(canary.percent)
    }
    body.bytes.u8(isPinned ? 1 : 0)
    body.bytes.count(grants.count)
    for grant in grants { body.bytes.string(grant) }
    quota.encode(into: &body.bytes)
    state.encode(into: &body.bytes)
    metrics.encode(into: &body.bytes)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    name = try body.fixed.string("module name", atMost: Limits.nameBytesMax)
    versions = try body.list("version count", atMost: ModuleStatus.versionsMax) { (body) throws(RoostError) in
      try ModuleDescription(from: &body)
    }
    let number = try body.fixed.u32()
    current = number == 0 ? nil : number
    previous = try body.list("version count", atMost: ModuleStatus.versionsMax) { (body) throws(RoostError) in
      try body.fixed.u32()
    }
    canary =
      try body.flag("canary")
      ? ModuleCanary(version: try body.fixed.u32(), percent: try body.percent()) : nil
    isPinned = try body.flag("pinned")
    grants = try body.grants()
    quota = try ModuleQuota(from: &body.fixed)
    state = try body.payload()
    metrics = try body.payload()
  }
}

/// What the operator may do to a published module.
public enum ModuleChange: Sendable, Equatable {
  /// Makes a version current and keeps it so, whatever is published; nil pins what is current.
  case pin(ModuleSelector.Choice?)
  case unpin
  /// Makes the version current that was so before.
  case rollBack
  /// Gives a version a share of the requests that name none.
  case canary(ModuleSelector.Choice, percent: UInt8)
  case endCanary
  /// Makes the canary current.
  case promote
  /// Removes a version, or the module with all of them.
  case delete(ModuleSelector.Choice?)
  /// Sets which capabilities it may use.
  case grant([String])
  case quota(ModuleQuota)
  /// Sets the map that the key-value capability reads.
  case state(Payload)
}

package struct ChangeModuleRequest: Sendable, Equatable {
  package var name: String
  package var change: ModuleChange

  package init(name: String, change: ModuleChange) {
    self.name = name
    self.change = change
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(name)
    switch change {
    case .pin(let version):
      body.bytes.u8(0)
      body.optionalString(version?.text)
    case .unpin: body.bytes.u8(1)
    case .rollBack: body.bytes.u8(2)
    case .canary(let version, let percent):
      body.bytes.u8(3)
      body.bytes.string(version.text)
      body.bytes.u8(percent)
    case .endCanary: body.bytes.u8(4)
    case .promote: body.bytes.u8(5)
    case .delete(let version):
      body.bytes.u8(6)
      body.optionalString(version?.text)
    case .grant(let names):
      body.bytes.u8(7)
      body.bytes.count(names.count)
      for name in names { body.bytes.string(name) }
    case .quota(let quota):
      body.bytes.u8(8)
      quota.encode(into: &body.bytes)
    case .state(let state):
      body.bytes.u8(9)
      state.encode(into: &body.bytes)
    }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    name = try body.fixed.string("module name", atMost: Limits.nameBytesMax)
    switch try body.fixed.u8() {
    case 0: change = .pin(try body.optionalModuleVersion())
    case 1: change = .unpin
    case 2: change = .rollBack
    case 3: change = .canary(try body.moduleVersion(), percent: try body.percent())
    case 4: change = .endCanary
    case 5: change = .promote
    case 6: change = .delete(try body.optionalModuleVersion())
    case 7: change = .grant(try body.grants())
    case 8: change = .quota(try ModuleQuota(from: &body.fixed))
    case 9: change = .state(try body.payload())
    case let tag:
      throw RoostError(.corrupted, "unknown change \(tag)", at: "byte \(body.fixed.offset - 1)")
    }
  }
}

extension BodyReader {
  fileprivate mutating func moduleVersion() throws(RoostError) -> ModuleSelector.Choice {
    try ModuleSelector.Choice(try fixed.string("module version", atMost: 64))
  }

  fileprivate mutating func optionalModuleVersion() throws(RoostError) -> ModuleSelector.Choice? {
    try flag("module version") ? try moduleVersion() : nil
  }

  fileprivate mutating func grants() throws(RoostError) -> [String] {
    try list("grant count", atMost: ModuleStatus.grantsMax) { (body) throws(RoostError) in
      try body.fixed.string("capability", atMost: Limits.nameBytesMax)
    }
  }
}

package struct ModuleRequest: Sendable, Equatable {
  package var name: String

  package init(name: String) { self.name = name }

  package func encode(into body: inout BodyWriter) { body.bytes.string(name) }
  package init(from body: inout BodyReader) throws(RoostError) {
    name = try body.fixed.string("module name", atMost: Limits.nameBytesMax)
  }
}
