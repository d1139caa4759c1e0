// Embeds text by hashing words, word pairs and the character n-grams of words into 256 signed dimensions
// (feature hashing: Weinberger et al., ICML 2009; subword n-grams as in fastText: Bojanowski et al., TACL
// 2017). No model, no training: texts that share words, stems or spellings come near each other. Meant for
// titles and descriptions; the beginning of a text weighs most.

struct HashedNgrams: Embedder {
  static let dimension = 256

  // How much each kind of feature counts beside a word's own 1.
  private static let pairWeight: Float = 0.35
  private static let ngramWeight: Float = 0.55
  /// Words after which the weight of a position has fallen to one half.
  private static let halfWeightWords: Float = 24
  /// Distinct words taken from one text, and bytes taken from one word.
  private static let wordsMax = 512
  private static let wordBytesMax = 40

  private struct Word {
    var start: Int32
    var count: Int32
    var hash: UInt64
    var weight: Float
    var occurrences: Float
  }

  /// Words so common that they say little, with what they still count.
  private var commonWords = WordTable(slots: 512)
  private var words = UnsafeMutablePointer<Word>.allocate(capacity: wordsMax)
  private var wordIndex = WordTable(slots: 2 * wordsMax)
  /// The words' letters in lower case, each between two marks.
  private var letters = UnsafeMutablePointer<UInt8>.allocate(capacity: wordsMax * (wordBytesMax + 2))

  init() {
    learn(
      """
      a an and are as at be by can for from has have in into is it its more not of on or other such than that the \
      their them these they this to use used uses using via was when where which will with you your
      """, weight: 0.08)
    learn(
      """
      all also allow based contain contains debian file for gnu include includes including installed libraries \
      library lib linux module new package packages program provide provided provides simple software support \
      supports system this tool tools version written
      """, weight: 0.45)
  }

  private mutating func learn(_ list: StaticString, weight: Float) {
    let text = Bytes(list)
    var at = 0
    while let word = nextWord(text, &at, into: 0) { commonWords.insert(word.hash, value: weight) }
  }

  mutating func embed(_ text: Bytes, into vector: UnsafeMutablePointer<Float>) throws(GuestError) {
    let count = collect(text, into: vector)
    for index in 0..<count {
      let word = words[index]
      // Sublinear in the number of occurrences.
      let weight = word.weight * word.occurrences.squareRoot()
      add(word.hash, weight, to: vector)
      addNgrams(of: word, weight: weight * HashedNgrams.ngramWeight, to: vector)
    }
    // A text without words still gets a direction, the same for all of them.
    if count == 0 { add(1, 1, to: vector) }
    normalise(vector)
  }

  /// Gathers the distinct words of a text and adds its word pairs; returns how many there are.
  private mutating func collect(_ text: Bytes, into vector: UnsafeMutablePointer<Float>) -> Int {
    wordIndex.clear()
    var count = 0
    var at = 0
    var lettersEnd = 0
    var position: Float = 0
    var previous: (hash: UInt64, weight: Float)?
    while count < HashedNgrams.wordsMax, var word = nextWord(text, &at, into: lettersEnd) {
      let common = commonWords.find(word.hash) ?? 1
      word.weight = common * HashedNgrams.halfWeightWords / (HashedNgrams.halfWeightWords + position)
      position += 1
      if let previous {
        let pair = mix(previous.hash &* 31 &+ word.hash)
        add(pair, HashedNgrams.pairWeight * (previous.weight * word.weight).squareRoot(), to: vector)
      }
      previous = (word.hash, word.weight)
      if let known = wordIndex.find(word.hash) {
        words[Int(known)].occurrences += 1
      } else {
        wordIndex.insert(word.hash, value: Float(count))
        words[count] = word
        count += 1
        lettersEnd += Int(word.count)
      }
    }
    return count
  }

  /// The next run of letters and digits, in lower case, without a plural 's'; bytes beyond ASCII are letters.
  /// Its letters go, between two marks, to `letters[end...]`.
  private func nextWord(_ text: Bytes, _ at: inout Int, into end: Int) -> Word? {
    while at < text.count, !isLetter(text[at]) { at += 1 }
    guard at < text.count else { return nil }
    let place = letters + end
    place[0] = 0x5f
    var size = 1
    while at < text.count, isLetter(text[at]) {
      if size <= HashedNgrams.wordBytesMax {
        place[size] = lowercased(text[at])
        size += 1
      }
      at += 1
    }
    if size > 4, place[size - 1] == 0x73, place[size - 2] != 0x73 { size -= 1 }
    place[size] = 0x5f
    size += 1
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for index in 1..<size { hash = (hash ^ UInt64(place[index])) &* 0x100_0000_01b3 }
    return Word(start: Int32(end), count: Int32(size), hash: mix(hash), weight: 1, occurrences: 1)
  }

  private func isLetter(_ byte: UInt8) -> Bool {
    lowercased(byte) &- 0x61 < 26 || byte &- 0x30 < 10 || byte >= 0x80
  }

  /// Adds the runs of 3 to 5 bytes of a word with its marks; together they weigh `weight`.
  private func addNgrams(of word: Word, weight: Float, to vector: UnsafeMutablePointer<Float>) {
    let size = Int(word.count)
    guard size > 4 else { return }
    let runs = 3 * size - 9  // (size − 2) + (size − 3) + (size − 4)
    let each = weight / Float(runs).squareRoot()
    let place = letters + Int(word.start)
    for start in 0..<(size - 2) {
      var hash: UInt64 = 0x9e37_79b9_7f4a_7c15
      hash = (hash ^ UInt64(place[start])) &* 0x100_0000_01b3
      hash = (hash ^ UInt64(place[start + 1])) &* 0x100_0000_01b3
      for end in start + 2..<min(start + 5, size) {
        hash = (hash ^ UInt64(place[end])) &* 0x100_0000_01b3
        add(mix(hash), each, to: vector)
      }
    }
  }

  /// Adds a feature at four places with four signs, all taken from its hash.
  @inline(__always)
  private func add(_ hash: UInt64, _ weight: Float, to vector: UnsafeMutablePointer<Float>) {
    let part = weight.bitPattern
    var bits = hash
    for place in 0..<4 {
      let sign = UInt32(truncatingIfNeeded: hash >> (60 + UInt64(place))) << 31
      vector[Int(bits & 0xff)] += Float(bitPattern: part ^ sign)
      bits >>= 8
    }
  }

  private func normalise(_ vector: UnsafeMutablePointer<Float>) {
    var sum: Float = 0
    for index in 0..<HashedNgrams.dimension { sum += vector[index] * vector[index] }
    guard sum > 0 else { return vector[0] = 1 }
    let scale = 1 / sum.squareRoot()
    for index in 0..<HashedNgrams.dimension { vector[index] *= scale }
  }
}

/// The finaliser of MurmurHash3: every bit of the input reaches every bit of the output.
@inline(__always)
private func mix(_ hash: UInt64) -> UInt64 {
  var h = hash
  h = (h ^ (h >> 33)) &* 0xff51_afd7_ed55_8ccd
  h = (h ^ (h >> 33)) &* 0xc4ce_b9fe_1a85_ec53
  return h ^ (h >> 33)
}

/// A small open-addressed table from hashes to numbers; never more than half full.
private struct WordTable {
  private struct Slot {
    var hash: UInt64
    var value: Float
    /// The round in which the slot was filled, so that clearing costs nothing.
    var round: UInt32
  }

  private let slots: UnsafeMutablePointer<Slot>
  private let mask: Int
  private var round: UInt32 = 1

  init(slots count: Int) {
    slots = .allocate(capacity: count)
    slots.initialize(repeating: Slot(hash: 0, value: 0, round: 0), count: count)
    mask = count - 1
  }

  mutating func clear() {
    round &+= 1
    if round == 0 {
      for index in 0...mask { slots[index].round = 0 }
      round = 1
    }
  }

  @inline(__always)
  private func slot(of hash: UInt64) -> Int {
    var index = Int(truncatingIfNeeded: hash) & mask
    while slots[index].round == round, slots[index].hash != hash { index = (index + 1) & mask }
    return index
  }

  @inline(__always)
  func find(_ hash: UInt64) -> Float? {
    let index = slot(of: hash)
    return slots[index].round == round ? slots[index].value : nil
  }

  @inline(__always)
  mutating func insert(_ hash: UInt64, value: Float) {
    slots[slot(of: hash)] = Slot(hash: hash, value: value, round: round)
  }
}

typealias ModuleEmbedder = HashedNgrams
