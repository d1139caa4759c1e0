// module pin, unpin, rollback, canary, promote, delete, grant, quota, state: which versions serve, and what they may do.

import ArgumentParser
import Core
import Wire

/// What commands that change a module have in common.
struct ChangeOptions: ParsableArguments {
  @Argument(help: "The module.") var name: String
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func send(_ change: ModuleChange) async throws(RoostError) {
    try validateName(name, what: "module")
    let module = try await node.client().changeModule(name, change)
    try output.print(module?.json ?? .object(["deleted": .string(name)])) {
      module.map { ModuleText.report($0) } ?? "deleted module '\(name)'"
    }
  }
}

/// `VERSION` on the command line.
extension ModuleSelector.Choice: ExpressibleByArgument {
  public init?(argument: String) {
    guard let choice = try? ModuleSelector.Choice(argument) else { return nil }
    self = choice
  }
}

private let versionHelp: ArgumentHelp = "Its number, 8 or more digits of its SHA-256, current or canary."

extension ModuleCommand {
  struct Pin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "pin", abstract: "Make a version current and keep it so, whatever is published.",
      discussion: """
        EXAMPLES
          roost module pin size-below 3
          roost module pin size-below              pin what is current now
        """)

    @OptionGroup var options: ChangeOptions
    @Argument(help: versionHelp) var version: ModuleSelector.Choice?

    func run() async throws { try await options.send(.pin(version)) }
  }

  struct Unpin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "unpin", abstract: "Let the next published version become current again.",
      discussion: """
        EXAMPLES
          roost module unpin size-below
        """)

    @OptionGroup var options: ChangeOptions

    func run() async throws { try await options.send(.unpin) }
  }

  struct Rollback: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "rollback", abstract: "Make the version current that was so before.",
      discussion: """
        EXAMPLES
          roost module rollback size-below
        """)

    @OptionGroup var options: ChangeOptions

    func run() async throws { try await options.send(.rollBack) }
  }

  struct Canary: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "canary", abstract: "Give a version a share of the requests that name none.",
      discussion: """
        EXAMPLES
          roost module canary size-below 4 --percent 10
          roost module canary size-below --end
        """)

    @OptionGroup var options: ChangeOptions
    @Argument(help: versionHelp) var version: ModuleSelector.Choice?
    @Option(help: "Of the requests, 1 to 100.") var percent: Int?
    @Flag(help: "There is to be no canary any more; its version stays.") var end = false

    func validate() throws {
      guard end ? version == nil && percent == nil : version != nil && percent != nil else {
        throw ValidationError("say a version and --percent, or --end")
      }
      if let percent { _ = try Percent.checked(percent, "--percent") }
    }

    func run() async throws {
      if let version, let percent {
        try await options.send(.canary(version, percent: try Percent.checked(percent, "--percent")))
      } else {
        try await options.send(.endCanary)
      }
    }
  }

  struct Promote: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "promote", abstract: "Make the canary current.",
      discussion: """
        EXAMPLES
          roost module promote size-below
        """)

    @OptionGroup var options: ChangeOptions

    func run() async throws { try await options.send(.promote) }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "delete", abstract: "Remove a version, or the module with all of them.",
      discussion: """
        Queries that are running keep what they began with.

        EXAMPLES
          roost module delete size-below 2
          roost module delete size-below --all
        """)

    @OptionGroup var options: ChangeOptions
    @Argument(help: versionHelp) var version: ModuleSelector.Choice?
    @Flag(help: "The module with all its versions.") var all = false

    func validate() throws {
      guard all == (version == nil) else { throw ValidationError("say a version, or --all") }
    }

    func run() async throws { try await options.send(.delete(version)) }
  }

  struct Grant: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "grant", abstract: "Set which capabilities of the host a module may use.",
      discussion: """
        EXAMPLES
          roost module grant size-below log tensor
          roost module grant size-below --none
        """)

    @OptionGroup var options: ChangeOptions
    @Argument(help: "Capabilities: log, tensor, random, clock, kv.") var capabilities: [String] = []
    @Flag(help: "It may use none.") var none = false

    func validate() throws {
      guard none == capabilities.isEmpty else { throw ValidationError("name capabilities, or say --none") }
    }

    func run() async throws { try await options.send(.grant(capabilities)) }
  }

  struct Quota: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "quota", abstract: "Bound what a module, all its versions together, may use of the node.",
      discussion: """
        Requests beyond it are refused as overloaded; those of other modules are not touched.

        EXAMPLES
          roost module quota size-below --calls 8 --cpu 25
          roost module quota size-below            no bound of its own
        """)

    @OptionGroup var options: ChangeOptions
    @Option(help: "Queries, and batches of texts, at a time.") var calls: Int?
    @Option(help: "Share of all cores' time, in percent, 1 to 100.") var cpu: Int?

    func validate() throws {
      if let calls, !(1...Int(UInt16.max)).contains(calls) {
        throw ValidationError("--calls must be in 1...\(UInt16.max)")
      }
      if let cpu { _ = try Percent.checked(cpu, "--cpu") }
    }

    func run() async throws {
      try await options.send(
        .quota(
          ModuleQuota(calls: UInt16(calls ?? 0), cpuPercent: try Percent.checked(cpu ?? 100, "--cpu"))))
    }
  }

  struct State: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "state", abstract: "Set the values that a module with the capability kv finds by key.",
      discussion: """
        They take the place of those that were there; values are JSON, or else text.

        EXAMPLES
          roost module state price-rules rate=1.19 'zones=["a", "b"]'
          roost module state price-rules --none
        """)

    @OptionGroup var options: ChangeOptions
    @Argument(help: ArgumentHelp("Values by key.", valueName: "key=value")) var values: [String] = []
    @Flag(help: "It finds nothing.") var none = false

    func validate() throws {
      guard none == values.isEmpty else { throw ValidationError("give values by key, or say --none") }
    }

    func run() async throws { try await options.send(.state(try Payload(arguments: values, of: "VALUES"))) }
  }
}
