// The file beside a module that holds its signature: four lines of text, so that people can read whose it is.

import Core
import Wire

public enum SignatureFile {
  private static let title = "roost-module-signature 1"
  public static let suffix = ".sig"

  public static func text(_ signature: ModuleSignature, name: String) -> String {
    """
    \(title)
    name \(name)
    key ed25519:\(Hexadecimal.encode(signature.key))
    signature \(Hexadecimal.encode(signature.signature))

    """
  }

  /// Throws `.invalidArgument` when the text is not such a file.
  public static func parse(
    _ text: String, at place: String
  ) throws(RoostError) -> (name: String, signature: ModuleSignature) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    func value(_ index: Int, _ word: String) -> String? {
      lines[index].hasPrefix(word + " ") ? String(lines[index].dropFirst(word.count + 1)) : nil
    }
    guard lines.count == 5, lines[0] == title, lines[4].isEmpty, let name = value(1, "name"),
      let key = value(2, "key"), let digits = value(3, "signature"), let bytes = Hexadecimal.decode(digits),
      bytes.count == PublicKey.signatureBytes
    else {
      throw RoostError(
        .invalidArgument, "the file is no signature of a module", at: place,
        remedy: "write it anew with `roost module sign`")
    }
    let signer = try PublicKey(text: key, at: place)
    return (name, ModuleSignature(key: signer.bytes, signature: bytes))
  }
}
