// The vectors of one record, by the name of their field. Most records have one; that one takes no allocation.

/// Vectors by field name, ascending by name. The name "" stands for the first field of the collection, whatever its
/// name is.
public struct RecordVectors: Sendable, Equatable, RandomAccessCollection, ExpressibleByDictionaryLiteral {
  public struct Entry: Sendable, Equatable {
    public let name: String
    public var vector: Vector

    public init(name: String, vector: Vector) {
      self.name = name
      self.vector = vector
    }
  }

  private var head: Entry?
  private var tail: [Entry] = []

  public init() {}

  /// The vector of the first field.
  public init(_ vector: Vector) { head = Entry(name: "", vector: vector) }

  /// Of two vectors for one name the last one counts.
  public init(dictionaryLiteral elements: (String, Vector)...) {
    for (name, vector) in elements { self[name] = vector }
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { head == nil ? 0 : tail.count + 1 }

  public subscript(position: Int) -> Entry {
    guard position == 0, let head else { return tail[position - 1] }
    return head
  }

  public subscript(name: String) -> Vector? {
    get { first(where: { $0.name == name })?.vector }
    set {
      var entries = filter { $0.name != name }
      if let newValue {
        let place = entries.firstIndex { name < $0.name } ?? entries.count
        entries.insert(Entry(name: name, vector: newValue), at: place)
      }
      head = entries.first
      tail = Array(entries.dropFirst())
    }
  }

  /// Bytes of all vectors together.
  public var byteCount: Int { reduce(0) { $0 + $1.vector.bytes.count } }
}
