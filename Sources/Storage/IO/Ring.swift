// The heart of I/O: one thread that runs Swift jobs and, when there are none, waits in io_uring. It is a
// `TaskExecutor`, so a task that prefers it computes and does I/O on one core without a single hand-over;
// any other task may use it too, through an inbox.
//
// Everything marked "ring thread" is touched by that thread alone. The rest of the world has two ways in:
// the inbox (a lock) and `mail` (one atomic word that also says whether a wake-up is needed).

import CKernels
import CURing
import Core
import Glibc
import Synchronization

/// A single-threaded executor whose idle loop is io_uring.
///
/// Safety of `@unchecked Sendable`: `inbox`, `mail` and `thread` are made for sharing; `kernel`'s address and
/// `wakeDescriptor` never change. All other stored properties are used on the ring thread only: every way to
/// them starts in `loop` or behind a check of `Ring.current`. After the thread has ended its successors (see
/// `runLeftovers`) are one at a time, and ordered by the inbox lock.
public final class Ring: TaskExecutor, @unchecked Sendable {
  enum Phase { case running, stopping, stopped, leftovers }

  struct Inbox {
    var phase = Phase.running
    var jobs: [UnownedJob] = []
    var operations: [RingOperation] = []
    var cancellations: [UInt64] = []
    var stopWaiters: [UnsafeContinuation<Void, Never>] = []
  }

  /// What `mail` says about the ring thread.
  private enum Mail {
    static let awake: UInt8 = 0
    static let asleep: UInt8 = 1
    static let arrived: UInt8 = 2
  }

  private let inbox = Mutex(Inbox())
  private let mail = Atomic<UInt8>(Mail.awake)
  private let wakeDescriptor: Int32
  private let kernel: UnsafeMutablePointer<io_uring>
  private let wakeBuffer: UnsafeMutablePointer<UInt64>
  private let entries: UInt32
  private let thread = Mutex<pthread_t?>(nil)

  // Ring thread. Exclusivity is given by confinement, so the run-time check is left out.
  @exclusivity(unchecked) private var ready: [UnownedJob] = []
  @exclusivity(unchecked) private var running: [UnownedJob] = []
  @exclusivity(unchecked) private var slots = RingSlots()
  /// Operations that found the submission queue full, oldest first from `backlogStart`.
  @exclusivity(unchecked) private var backlog: [(io_uring_sqe, io_uring_sqe?)] = []
  @exclusivity(unchecked) private var backlogStart = 0
  @exclusivity(unchecked) private var phase = Phase.running
  @exclusivity(unchecked) private var spareInbox = Inbox()
  @exclusivity(unchecked) private var busyPoll: BusyPoll

  public static let pollMicrosMax = 10_000
  /// Jobs run between two looks at the kernel.
  private static let jobsPerTurn = 512

  /// Starts the thread. Throws `.unavailable` when the kernel has no io_uring for us.
  /// - Parameter entries: size of the submission queue, a power of two. More operations than this may be
  ///   in flight: the queue is emptied into the kernel whenever it is full.
  /// - Parameter pollMicros: how long to look for news before sleeping, while the ring receives from a
  ///   connection and waits are short; 0: never.
  public init(entries: UInt32 = 256, pollMicros: Int = 0) throws(RoostError) {
    precondition(entries > 1 && entries & (entries - 1) == 0 && (0...Ring.pollMicrosMax).contains(pollMicros))
    self.entries = entries
    busyPoll = BusyPoll(nanosMax: UInt64(pollMicros) * 1000)
    wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC))
    kernel = .allocate(capacity: 1)
    kernel.initialize(to: io_uring())
    wakeBuffer = .allocate(capacity: 1)
    wakeBuffer.initialize(to: 0)
    guard wakeDescriptor >= 0 else { throw RoostError.system(errno, "create an eventfd", at: "ring") }
    // IORING_SETUP_SINGLE_ISSUER binds the ring to the thread that creates it, so that thread must report.
    let report = BlockingValue<Int32>()
    let start = Unmanaged.passRetained(StartRequest(ring: self, report: report))
    var handle = pthread_t()
    let code = pthread_create(&handle, nil, Ring.threadMain, start.toOpaque())
    guard code == 0 else {
      start.release()
      throw RoostError.system(code, "start a thread", at: "ring")
    }
    let failure = report.wait()
    guard failure == 0 else {
      pthread_join(handle, nil)
      throw RoostError(
        .unavailable, "io_uring could not be set up: \(systemMessage(failure))", at: "ring",
        remedy: "Linux 6.1 or newer is needed, with io_uring allowed (sysctl kernel.io_uring_disabled=0, "
          + "and a container profile that permits the io_uring system calls)")
    }
    thread.withLock { $0 = handle }
  }

  deinit {
    close(wakeDescriptor)
    kernel.deallocate()
    wakeBuffer.deallocate()
  }

  // MARK: - From any thread

  private static let currentKey: pthread_key_t = {
    var key = pthread_key_t()
    let code = pthread_key_create(&key, nil)
    precondition(code == 0, "no thread-local storage key is left")
    return key
  }()

  /// The ring whose thread this is.
  static var current: Ring? {
    guard let raw = pthread_getspecific(currentKey) else { return nil }
    return Unmanaged<Ring>.fromOpaque(raw).takeUnretainedValue()
  }

  @inline(__always)
  private var isCurrent: Bool {
    pthread_getspecific(Ring.currentKey) == UnsafeMutableRawPointer(Unmanaged.passUnretained(self).toOpaque())
  }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isCurrent {
      ready.append(job)
    } else {
      post { $0.jobs.append(job) }
    }
  }

  /// Starts an operation on the ring of the calling thread, or on `self` when the thread has none.
  func submit(_ operation: consuming RingOperation) {
    if let ring = Ring.current {
      ring.start(operation)
    } else {
      let operation = operation
      post { $0.operations.append(operation) }
    }
  }

  /// Cancels the operation with this user data; nothing happens when it has completed.
  func cancel(_ userData: UInt64) {
    if isCurrent {
      startCancellation(userData)
    } else {
      post { $0.cancellations.append(userData) }
    }
  }

  /// Performs one operation and returns the kernel's result (negative: an error number).
  @inline(__always)
  func perform(
    _ entry: io_uring_sqe, keeping owner: AnyObject? = nil, openEnded: Bool = false,
    linked: io_uring_sqe? = nil, cancellation: RingCancellation? = nil
  ) async -> Int32 {
    await withUnsafeContinuation { continuation in
      submit(
        RingOperation(
          entry: entry, linked: linked, completion: .resume(continuation), owner: owner,
          isOpenEnded: openEnded,
          cancellation: cancellation))
    }
  }

  /// Puts something into the inbox and wakes the ring thread if it is asleep.
  private func post(_ body: (inout sending Inbox) -> Void) {
    let needsThread = inbox.withLock { inbox in
      body(&inbox)
      guard inbox.phase == .stopped else { return false }
      inbox.phase = .leftovers
      return true
    }
    if needsThread { startLeftovers() }
    if mail.exchange(Mail.arrived, ordering: .sequentiallyConsistent) == Mail.asleep {
      var one: UInt64 = 1
      _ = write(wakeDescriptor, &one, 8)
    }
  }

  /// Ends the ring: open-ended operations (accept, receive, sleep …) are cancelled, file operations and
  /// every runnable job finish, then the thread ends and is joined. Later operations fail with
  /// `ECANCELED`; later jobs still run, on a thread of their own. Safe to call more than once.
  public func shutdown() async {
    await withUnsafeContinuation { continuation in
      post { $0.stopWaiters.append(continuation) }
    }
    // The thread resumes its waiters as its last act, and jobs never run on a thread that is ending.
    let handle = thread.withLock { handle in
      defer { handle = nil }
      return handle
    }
    if let handle { pthread_join(handle, nil) }
  }

  // MARK: - Ring thread: operations

  private func start(_ operation: RingOperation) {
    let refused = phase == .stopped || phase == .leftovers || (phase == .stopping && operation.isOpenEnded)
    if refused {
      finish(operation.completion, result: -ECANCELED)
      return
    }
    let userData = slots.claim(
      operation.completion, owner: operation.owner, isOpenEnded: operation.isOpenEnded,
      isReceiving: operation.entry.opcode == UInt8(IORING_OP_RECV.rawValue))
    if let cancellation = operation.cancellation, !cancellation.begin(on: self, userData: userData) {
      complete(userData, result: -ECANCELED)
      return
    }
    var entry = operation.entry
    entry.user_data = userData
    guard var linked = operation.linked else {
      push(entry)
      return
    }
    linked.user_data = slots.claim(.ignore, owner: operation.owner, isOpenEnded: false)
    push(entry, linked)
  }

  /// The short way for queues of reads, which are always on the ring thread when they come here.
  @inline(__always)
  func startRead(_ entry: io_uring_sqe, _ queue: RingReadQueue, index: Int, keeping owner: AnyObject) {
    var entry = entry
    entry.user_data = slots.claim(.read(queue, index), owner: owner, isOpenEnded: false)
    push(entry)
  }

  private func startCancellation(_ target: UInt64) {
    guard slots.isLive(target) else { return }
    var entry = RingEntry.cancel(target)
    entry.user_data = slots.claim(.ignore, owner: nil, isOpenEnded: false)
    push(entry)
  }

  private func armWake() {
    var entry = RingEntry.read(wakeDescriptor, wakeBuffer, 8, at: 0)
    entry.user_data = RingSlots.wakeUserData
    push(entry)
  }

  /// Hands one entry (or a linked pair, which must stay adjacent) to the submission queue, or to the
  /// backlog when the kernel takes nothing more just now. Order is kept.
  @inline(__always)
  private func push(_ entry: io_uring_sqe, _ linked: io_uring_sqe? = nil) {
    if backlog.isEmpty, place(entry, linked) { return }
    backlog.append((entry, linked))
  }

  @inline(__always)
  private func place(_ entry: io_uring_sqe, _ linked: io_uring_sqe?) -> Bool {
    let needed: UInt32 = linked == nil ? 1 : 2
    if io_uring_sq_space_left(kernel) < needed {
      io_uring_submit(kernel)
      if io_uring_sq_space_left(kernel) < needed { return false }
    }
    guard let target = roost_get_sqe(kernel) else { return false }
    target.pointee = entry
    if let linked, let second = roost_get_sqe(kernel) { second.pointee = linked }
    return true
  }

  private func placeBacklog() {
    while backlogStart < backlog.count {
      let (entry, linked) = backlog[backlogStart]
      guard place(entry, linked) else { return }
      backlogStart += 1
    }
    backlog.removeAll(keepingCapacity: true)
    backlogStart = 0
  }

  private func complete(_ userData: UInt64, result: Int32) {
    if userData == RingSlots.wakeUserData {
      armWake()
      return
    }
    finish(slots.release(userData), result: result)
  }

  private func finish(_ completion: RingCompletion, result: Int32) {
    switch completion {
    case .resume(let continuation): continuation.resume(returning: result)
    case .read(let queue, let index): queue.complete(index, result: result, on: self)
    case .ignore: break
    }
  }

  // MARK: - Ring thread: the loop

  private static let threadMain: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = {
    raw in
    guard let raw else { return nil }
    let start = Unmanaged<StartRequest>.fromOpaque(raw).takeRetainedValue()
    let ring = start.ring
    pthread_setname_np(pthread_self(), "roost-ring")
    let code = ring.setUpKernel()
    start.report.set(code)
    if code == 0 {
      pthread_setspecific(currentKey, Unmanaged.passUnretained(ring).toOpaque())
      ring.loop()
      pthread_setspecific(currentKey, nil)
    }
    return nil
  }

  private func setUpKernel() -> Int32 {
    var parameters = io_uring_params()
    // Completions are posted only when we ask for them (no interrupts of our code), by the one thread
    // that submits; an invalid entry must not hold back those behind it.
    parameters.flags =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE
      | IORING_SETUP_TASKRUN_FLAG
    parameters.cq_entries = entries * 8
    let code = io_uring_queue_init_params(entries, kernel, &parameters)
    guard code == 0 else { return -code }
    // Saves a descriptor look-up on each system call; not essential.
    io_uring_register_ring_fd(kernel)
    return 0
  }

  private func loop() {
    armWake()
    while true {
      if mail.load(ordering: .relaxed) == Mail.arrived { openMail() }
      runJobs()
      placeBacklog()
      if !ready.isEmpty || mail.load(ordering: .relaxed) == Mail.arrived {
        // More to run: only look whether something has completed meanwhile.
        if slots.liveCount > 0 { enter(waiting: false) }
      } else if phase == .stopping && slots.liveCount == 0 && backlog.isEmpty {
        if retire() { return }
      } else {
        waitForNews()
      }
      reap()
    }
  }

  private func runJobs() {
    let executor = asUnownedTaskExecutor()
    var budget = Ring.jobsPerTurn
    while !ready.isEmpty && budget > 0 {
      swap(&ready, &running)
      for job in running { job.runSynchronously(on: executor) }
      budget -= running.count
      running.removeAll(keepingCapacity: true)
    }
  }

  /// Waits for a completion or for mail: awake at first where that pays, then asleep.
  private func waitForNews() {
    guard busyPoll.nanosMax > 0, slots.receivingCount > 0 else { return sleep() }
    let start = Ring.nowNanos()
    let budget = busyPoll.begin()
    if budget > 0 { busyPoll.polled(inTime: poll(from: start, nanos: budget)) }
    // Mail that has arrived keeps from sleeping by itself.
    if io_uring_cq_ready(kernel) == 0 { sleep() }
    busyPoll.end(afterNanos: Ring.nowNanos() - start)
  }

  private func sleep() {
    guard fallAsleep() else { return }
    enter(waiting: true)
    if mail.exchange(Mail.awake, ordering: .sequentiallyConsistent) == Mail.arrived { takeInbox() }
  }

  /// Looks for completions and mail; false when none has come in time.
  private func poll(from start: UInt64, nanos: UInt64) -> Bool {
    let looksPerTurn = 16
    if io_uring_sq_ready(kernel) > 0 { enter(waiting: false) }
    var last = start
    while true {
      for _ in 0..<looksPerTurn {
        if io_uring_cq_ready(kernel) > 0 || mail.load(ordering: .relaxed) == Mail.arrived { return true }
        // The kernel has something to finish in our name; that may or may not complete an operation.
        if roost_has_task_work(kernel) { io_uring_get_events(kernel) } else { roost_pause() }
      }
      let now = Ring.nowNanos()
      if now - last > BusyPoll.gapNanosMax || now - start >= nanos { return false }
      last = now
    }
  }

  private static func nowNanos() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// False when mail has arrived since we looked.
  private func fallAsleep() -> Bool {
    mail.compareExchange(
      expected: Mail.awake, desired: Mail.asleep, ordering: .sequentiallyConsistent
    ).exchanged
  }

  private func openMail() {
    // Awake first, then take: whatever is posted after the taking sets `arrived` again.
    mail.store(Mail.awake, ordering: .sequentiallyConsistent)
    takeInbox()
  }

  private func takeInbox() {
    inbox.withLock { inbox in
      if !inbox.stopWaiters.isEmpty && inbox.phase == .running { inbox.phase = .stopping }
      phase = inbox.phase
      swap(&inbox.jobs, &spareInbox.jobs)
      swap(&inbox.operations, &spareInbox.operations)
      swap(&inbox.cancellations, &spareInbox.cancellations)
    }
    ready.append(contentsOf: spareInbox.jobs)
    spareInbox.jobs.removeAll(keepingCapacity: true)
    for operation in spareInbox.operations { start(operation) }
    spareInbox.operations.removeAll(keepingCapacity: true)
    for userData in spareInbox.cancellations { startCancellation(userData) }
    spareInbox.cancellations.removeAll(keepingCapacity: true)
    if phase == .stopping {
      for userData in slots.openEnded() { startCancellation(userData) }
    }
  }

  private func enter(waiting: Bool) {
    let code = waiting ? io_uring_submit_and_wait(kernel, 1) : io_uring_submit_and_get_events(kernel)
    // Interruption and shortage (EINTR, EAGAIN, EBUSY) pass: we reap and come again.
    precondition(code != -EBADR, "the kernel has lost a completion")
  }

  private func reap() {
    withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<io_uring_cqe>?.self, capacity: 64) { found in
      withUnsafeTemporaryAllocation(of: (UInt64, Int32).self, capacity: 64) { results in
        while true {
          let count = Int(io_uring_peek_batch_cqe(kernel, found.baseAddress, 64))
          if count == 0 { return }
          // Copied and given back first: finishing one may start others, which may submit.
          for index in 0..<count {
            guard let entry = found[index] else { continue }
            results.initializeElement(at: index, to: (entry.pointee.user_data, entry.pointee.res))
          }
          io_uring_cq_advance(kernel, UInt32(count))
          for index in 0..<count { complete(results[index].0, result: results[index].1) }
        }
      }
    }
  }

  // MARK: - Ring thread: the end

  /// Ends the ring if the inbox is empty.
  private func retire() -> Bool {
    let waiters: [UnsafeContinuation<Void, Never>]? = inbox.withLock { inbox in
      guard inbox.jobs.isEmpty && inbox.operations.isEmpty else { return nil }
      inbox.cancellations.removeAll()
      inbox.phase = .stopped
      defer { inbox.stopWaiters.removeAll() }
      return inbox.stopWaiters
    }
    guard let waiters else { return false }
    phase = .stopped
    io_uring_queue_exit(kernel)
    pthread_setspecific(Ring.currentKey, nil)
    for waiter in waiters { waiter.resume() }
    return true
  }

  /// After the end a task may still prefer this executor: its jobs run on a short-lived thread, so that
  /// none is lost. The phase `leftovers`, set under the inbox lock, admits one such thread at a time.
  private func startLeftovers() {
    var handle = pthread_t()
    let code = pthread_create(
      &handle, nil,
      { raw in
        guard let raw else { return nil }
        let ring = Unmanaged<Ring>.fromOpaque(raw).takeRetainedValue()
        pthread_setspecific(Ring.currentKey, Unmanaged.passUnretained(ring).toOpaque())
        ring.runLeftovers()
        pthread_setspecific(Ring.currentKey, nil)
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(code == 0, "no thread could be started to finish the last tasks")
    pthread_detach(handle)
  }

  private func runLeftovers() {
    while true {
      takeInbox()
      runJobs()
      if !ready.isEmpty { continue }
      var waiters: [UnsafeContinuation<Void, Never>] = []
      let isDone = inbox.withLock { inbox in
        guard inbox.jobs.isEmpty && inbox.operations.isEmpty else { return false }
        swap(&waiters, &inbox.stopWaiters)
        if waiters.isEmpty { inbox.phase = .stopped }
        return waiters.isEmpty
      }
      if isDone { return }
      for waiter in waiters { waiter.resume() }
    }
  }
}

/// Hands the new thread its ring and carries its first word back.
private final class StartRequest: Sendable {
  let ring: Ring
  let report: BlockingValue<Int32>

  init(ring: Ring, report: BlockingValue<Int32>) {
    self.ring = ring
    self.report = report
  }
}
