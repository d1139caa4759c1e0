import Core
import Foundation
import Storage
import Testing
import Wire

@testable import Node

@Suite struct SigningTests {
  private static func bytes(_ hex: String) -> [UInt8] { Hexadecimal.decode(hex) ?? [] }

  // RFC 8032, section 7.1, tests 1 and 3.
  @Test(arguments: [
    (
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    ),
    (
      "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    ),
  ])
  func signaturesAreThoseOfTheStandard(
    _ test: (seed: String, key: String, message: String, signature: String)
  )
    throws
  {
    let key = try SigningKey(seed: Self.bytes(test.seed))
    #expect(key.publicKey.description == "ed25519:" + test.key)
    let message = Self.bytes(test.message)
    let signature = try key.sign(message)
    #expect(Hexadecimal.encode(signature) == test.signature)
    #expect(key.publicKey.verify(signature, of: message))
    #expect(!key.publicKey.verify(signature, of: message + [0]))
    for bit in stride(from: 0, to: 512, by: 7) {
      var changed = signature
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!key.publicKey.verify(changed, of: message))
    }
    #expect(!key.publicKey.verify(Array(signature.dropLast()), of: message))
  }

  @Test func keyFilesAreThoseOfOpenSSL() throws {
    // RFC 8410, section 10.3.
    let pem = """
      -----BEGIN PRIVATE KEY-----
      MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
      -----END PRIVATE KEY-----

      """
    let key = try SigningKey(pem: pem, at: "test")
    #expect(
      key.publicKey.description == "ed25519:19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1")
    #expect(key.pem == pem)
    let other = try SigningKey(random: SystemRandom())
    #expect(other.publicKey != key.publicKey)
    #expect(try SigningKey(pem: other.pem, at: "test").publicKey == other.publicKey)
    for wrong in [
      "", "MC4CAQAw", pem.replacingOccurrences(of: "MC4C", with: "MC4D"), String(pem.dropFirst(4)),
    ] {
      #expect(throws: RoostError.self) { try SigningKey(pem: wrong, at: "test") }
    }
    #expect(try PublicKey(text: "\(key.publicKey)", at: "test") == key.publicKey)
    for wrong in ["ed25519:00", "19bf44", "rsa:\(key.publicKey)", ""] {
      #expect(throws: RoostError.self) { try PublicKey(text: wrong, at: "test") }
    }
  }

  @Test func everyPartOfAStatementCounts() throws {
    let key = try SigningKey(random: SystemRandom())
    let (module, model) = (Digest(of: [1]), Digest(of: [2]))
    let statement = ModuleStatement(name: "gate", kind: .filter, module: module, model: model)
    let signature = try statement.signed(by: key)
    try statement.verify(signature)
    for wrong in [
      ModuleStatement(name: "gates", kind: .filter, module: module, model: model),
      ModuleStatement(name: "gate", kind: .embedder, module: module, model: model),
      ModuleStatement(name: "gate", kind: .filter, module: model, model: model),
      ModuleStatement(name: "gate", kind: .filter, module: module, model: module),
      ModuleStatement(name: "gate", kind: .filter, module: module, model: nil),
    ] {
      let error = #expect(throws: RoostError.self) { try wrong.verify(signature) }
      #expect(error?.kind == .permissionDenied)
    }
  }

  @Test func policiesSayWhatToDo() throws {
    let (trusted, stranger) = (try SigningKey(random: SystemRandom()), try SigningKey(random: SystemRandom()))
    let statement = ModuleStatement(name: "gate", kind: .filter, module: Digest(of: [1]), model: nil)
    var policy = SignaturePolicy()
    try policy.check(statement, nil)
    try policy.check(statement, try statement.signed(by: stranger))
    policy.isRequired = true
    policy.trustedKeys = [trusted.publicKey]
    try policy.check(statement, try statement.signed(by: trusted))
    let unsigned = #expect(throws: RoostError.self) { try policy.check(statement, nil) }
    #expect(unsigned?.message.contains("'gate' is not signed") == true)
    #expect(unsigned?.remedy.contains("roost module sign") == true)
    let unknown = #expect(throws: RoostError.self) {
      try policy.check(statement, try statement.signed(by: stranger))
    }
    #expect(unknown?.message.contains("\(stranger.publicKey)") == true)
  }

  // MARK: Golden vectors, written anew with ROOST_WRITE_VECTORS=1.

  private static let folder = URL(fileURLWithPath: #filePath).appendingPathComponent(
    "../../../../spec/vectors/modules"
  ).standardized

  @Test(arguments: ["statement.hex", "signature.sig", "registry.hex"])
  func theSpecificationHasTheseBytes(_ name: String) throws {
    let key = try SigningKey(
      seed: Self.bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    let statement = ModuleStatement(
      name: "size-below", kind: .filter, module: Digest(of: Array("module".utf8)),
      model: Digest(of: Array("model".utf8)))
    let text =
      switch name {
      case "statement.hex":
        "# the statement about filter size-below with the module \"module\" and the model \"model\"\n"
          + Self.lines(statement.bytes)
      case "signature.sig": SignatureFile.text(try statement.signed(by: key), name: statement.name)
      default:
        "# a registry of two modules with three versions each\n"
          + Self.lines(RegistryFuzz.file(RegistryFuzz.sample()))
      }
    let file = Self.folder.appendingPathComponent(name)
    if ProcessInfo.processInfo.environment["ROOST_WRITE_VECTORS"] != nil {
      try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(try String(contentsOf: file, encoding: .utf8) == text)
    if name == "signature.sig" {
      let read = try SignatureFile.parse(text, at: name)
      #expect(read.name == statement.name)
      try statement.verify(read.signature)
      for cut in 0..<text.utf8.count {
        let short = String(decoding: text.utf8.prefix(cut), as: UTF8.self)
        #expect(throws: RoostError.self) { try SignatureFile.parse(short, at: name) }
      }
    }
  }

  private static func lines(_ bytes: [UInt8]) -> String {
    stride(from: 0, to: bytes.count, by: 32).map {
      Hexadecimal.encode(Array(bytes[$0..<min($0 + 32, bytes.count)])) + "\n"
    }.joined()
  }
}
