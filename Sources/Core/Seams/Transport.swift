// The network as a parameter: byte streams over TCP in the node, simulated links in tests.

/// A host (name or literal address) and a port.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  public var host: String
  public var port: UInt16

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Reads `host:port` or `[v6]:port`; a missing port is `defaultPort`.
  public init(text: String, defaultPort: UInt16) throws(RoostError) {
    func refuse() -> RoostError {
      RoostError(
        .invalidArgument, "'\(text)' is not an address", at: "address", remedy: "write host:port or [v6]:port"
      )
    }
    var host = text[...]
    var port = defaultPort
    if text.hasPrefix("[") {
      guard let close = text.firstIndex(of: "]") else { throw refuse() }
      host = text[text.index(after: text.startIndex)..<close]
      let rest = text[text.index(after: close)...]
      if !rest.isEmpty {
        guard rest.hasPrefix(":"), let number = UInt16(rest.dropFirst()) else { throw refuse() }
        port = number
      }
    } else if let colon = text.lastIndex(of: ":"), text.firstIndex(of: ":") == colon {
      guard let number = UInt16(text[text.index(after: colon)...]) else { throw refuse() }
      host = text[..<colon]
      port = number
    }
    guard !host.isEmpty else { throw refuse() }
    self.init(host: String(host), port: port)
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A two-way byte stream. One task may receive while another sends; neither call overlaps itself.
public protocol Connection: AnyObject, Sendable {
  var peer: String { get }
  /// Receives at least one byte into `range` of `buffer`; 0 means that the peer has finished.
  func receive(into buffer: IOBuffer, range: Range<Int>) async throws(RoostError) -> Int
  /// Sends all of `range`.
  func send(_ buffer: IOBuffer, range: Range<Int>) async throws(RoostError)
  /// Ends both directions; a pending `receive` or `send` throws `.connectionClosed`. Safe to call twice.
  func close() async
}

public protocol Listener: AnyObject, Sendable {
  /// The bound address, with the real port when 0 was asked for.
  var address: SocketAddress { get }
  /// Throws `.cancelled` once the listener is closed.
  func accept() async throws(RoostError) -> any Connection
  func close() async
}

public protocol Transport: Sendable {
  /// Throws `.unavailable` when the port is in use.
  func listen(on address: SocketAddress) async throws(RoostError) -> any Listener
  func connect(to address: SocketAddress, timeoutMs: Int) async throws(RoostError) -> any Connection
}
