// A socket address in the kernel's form.

import Core
import Glibc

/// Safety of `@unchecked Sendable`: the memory is filled during initialisation and only read afterwards.
final class Endpoint: @unchecked Sendable {
  private let storage: UnsafeMutablePointer<sockaddr_storage>
  let count: socklen_t

  private init(_ storage: UnsafeMutablePointer<sockaddr_storage>, _ count: socklen_t) {
    self.storage = storage
    self.count = count
  }

  deinit { storage.deallocate() }

  private static func allocate() -> UnsafeMutablePointer<sockaddr_storage> {
    let storage = UnsafeMutablePointer<sockaddr_storage>.allocate(capacity: 1)
    storage.initialize(to: sockaddr_storage())
    return storage
  }

  /// A literal IPv4 or IPv6 address; nil for a name.
  convenience init?(literal address: SocketAddress) {
    let storage = Endpoint.allocate()
    let raw = UnsafeMutableRawPointer(storage)
    let v4 = raw.assumingMemoryBound(to: sockaddr_in.self)
    if inet_pton(AF_INET, address.host, &v4.pointee.sin_addr) == 1 {
      v4.pointee.sin_family = sa_family_t(AF_INET)
      v4.pointee.sin_port = address.port.bigEndian
      self.init(storage, socklen_t(MemoryLayout<sockaddr_in>.size))
      return
    }
    let v6 = raw.assumingMemoryBound(to: sockaddr_in6.self)
    if inet_pton(AF_INET6, address.host, &v6.pointee.sin6_addr) == 1 {
      v6.pointee.sin6_family = sa_family_t(AF_INET6)
      v6.pointee.sin6_port = address.port.bigEndian
      self.init(storage, socklen_t(MemoryLayout<sockaddr_in6>.size))
      return
    }
    storage.deallocate()
    return nil
  }

  /// The address that a call such as `getpeername` fills in; nil when the call fails.
  static func named(
    by call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> SocketAddress? {
    let storage = allocate()
    var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let code = call(UnsafeMutableRawPointer(storage).assumingMemoryBound(to: sockaddr.self), &count)
    let endpoint = Endpoint(storage, count)
    return code == 0 ? endpoint.socketAddress : nil
  }

  /// Asks the system's resolver; blocks.
  static func lookUp(_ address: SocketAddress, forListening: Bool) -> Result<[Endpoint], RoostError> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = forListening ? AI_PASSIVE : AI_ADDRCONFIG
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(address.host, "\(address.port)", &hints, &list)
    guard code == 0 else {
      let words = gai_strerror(code).map { String(cString: $0) } ?? "error \(code)"
      return .failure(
        RoostError(
          .notFound, "the name '\(address.host)' has no address: \(words)", at: "\(address)",
          remedy: "check the spelling and the name service, or write a literal address"))
    }
    defer { freeaddrinfo(list) }
    var endpoints: [Endpoint] = []
    var next = list
    while let info = next {
      next = info.pointee.ai_next
      guard let source = info.pointee.ai_addr, info.pointee.ai_addrlen <= MemoryLayout<sockaddr_storage>.size
      else { continue }
      let storage = allocate()
      memcpy(storage, source, Int(info.pointee.ai_addrlen))
      endpoints.append(Endpoint(storage, info.pointee.ai_addrlen))
    }
    return .success(endpoints)
  }

  var family: Int32 { Int32(storage.pointee.ss_family) }

  /// Valid as long as the endpoint lives.
  var address: UnsafePointer<sockaddr> {
    UnsafePointer(UnsafeMutableRawPointer(storage).assumingMemoryBound(to: sockaddr.self))
  }

  func withAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    withExtendedLifetime(self) { body(address, count) }
  }

  var socketAddress: SocketAddress? {
    let raw = UnsafeMutableRawPointer(storage)
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
      let port: UInt16
      switch family {
      case AF_INET:
        let v4 = raw.assumingMemoryBound(to: sockaddr_in.self)
        port = UInt16(bigEndian: v4.pointee.sin_port)
        inet_ntop(AF_INET, &v4.pointee.sin_addr, text.baseAddress, socklen_t(text.count))
      case AF_INET6:
        let v6 = raw.assumingMemoryBound(to: sockaddr_in6.self)
        port = UInt16(bigEndian: v6.pointee.sin6_port)
        inet_ntop(AF_INET6, &v6.pointee.sin6_addr, text.baseAddress, socklen_t(text.count))
      default: return nil
      }
      guard let base = text.baseAddress else { return nil }
      return SocketAddress(host: String(cString: base), port: port)
    }
  }
}
