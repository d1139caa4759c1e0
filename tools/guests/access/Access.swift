// Passes what a user may see: records whose array `acl` names one of the user's groups. Who is in which group is
// published with the module: {"ada": ["staff", "board"], "ben": ["staff"]}. Parameters: {"user": "ada"}.

struct Access: Filter {
  private var groups: [Bytes] = []

  init(parameters: Fields) throws(GuestError) {
    guard let user = parameters.string("user") else { throw GuestError("'user' must be a string") }
    guard case .array(let elements)? = state(user) else { throw GuestError("there is no such user") }
    for element in elements {
      if case .string(let group) = element { groups.append(group) }
    }
  }

  var fields: [Bytes] { [Bytes("acl")] }

  func passes(_ candidate: Candidate) -> Bool {
    guard case .array(let acl)? = candidate.value("acl") else { return false }
    for element in acl {
      guard case .string(let group) = element else { continue }
      for mine in groups where mine.equals(group) { return true }
    }
    return false
  }
}

typealias ModuleFilter = Access
