// What the builder of guests says when something is wrong with what it is given.

import Core
import Glibc
import Testing

@testable import Wasm

@Suite struct ModuleBuilderTests {
  private func withSource(_ files: [String: String], _ body: (String) throws -> Void) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    for (name, text) in files {
      let file = try #require(fopen(folder.path + "/" + name, "w"))
      fputs(text, file)
      fclose(file)
    }
    try body(folder.path)
  }

  private func builder() throws -> ModuleBuilder {
    try ModuleBuilder(sdkPath: GuestModuleTests.guests + "/sdk")
  }

  @Test func compilerErrorsAreShown() throws {
    try withSource(["bad.c": "int x = ;\n"]) { folder in
      expectFailure(.invalidArgument, "bad.c does not compile", "expected expression") {
        () throws(RoostError) in
        _ = try ModuleBuilder(sdkPath: GuestModuleTests.guests + "/sdk").build(folder)
      }
    }
  }

  @Test func missingFunctionsAreNamed() throws {
    try withSource(["guest.c": "#include <roost.h>\nROOST_DEFINE_FILTER\n"]) { folder in
      expectFailure(.invalidArgument, "does not link", "undefined symbol: passes") { () throws(RoostError) in
        _ = try ModuleBuilder(sdkPath: GuestModuleTests.guests + "/sdk").build(folder + "/guest.c")
      }
    }
  }

  @Test func swiftSourceMustSayWhatItIs() throws {
    try withSource(["guest.swift": "struct Nothing {}\n"]) { folder in
      expectFailure(.invalidArgument, "does not say which one thing the module is") { () throws(RoostError) in
        _ = try ModuleBuilder(sdkPath: GuestModuleTests.guests + "/sdk").build(folder)
      }
    }
  }

  @Test func wrongPathsAreNamed() throws {
    expectFailure(.notFound, "cannot be read") { () throws(RoostError) in
      _ = try ModuleBuilder(sdkPath: GuestModuleTests.guests + "/sdk").build("/no/such/guest.c")
    }
    expectFailure(.notFound, "no roost.h") { () throws(RoostError) in _ = try ModuleBuilder(sdkPath: "/tmp") }
    try withSource(["a.c": "", "b.swift": ""]) { folder in
      expectFailure(.invalidArgument, "of one language") { () throws(RoostError) in
        _ = try ModuleBuilder(sdkPath: GuestModuleTests.guests + "/sdk").build(folder)
      }
    }
    try withSource(["notes.txt": ""]) { folder in
      expectFailure(.notFound, "no .swift, .c or .rs file") { () throws(RoostError) in
        _ = try ModuleBuilder(sdkPath: GuestModuleTests.guests + "/sdk").build(folder)
      }
    }
  }

  @Test func temporaryFoldersGoAway() throws {
    let folder = try TemporaryFolder()
    mkdir(folder.path + "/inner", 0o700)
    symlink("/usr", folder.path + "/inner/link")
    folder.remove()
    #expect(access(folder.path, F_OK) != 0)
    #expect(access("/usr/bin", F_OK) == 0)
  }

  @Test func theAllocatorReusesMemory() throws {
    // Allocates and frees blocks of every size far beyond what memory could hold without reuse, and
    // checks that live blocks keep their content.
    let source = """
      #include <roost.h>
      int32_t configure(roost_fields parameters) { (void)parameters; return 0; }
      static uint8_t *live[64];
      static uint32_t sizes[64], state = 12345;
      static uint32_t next(void) { state = state * 1664525u + 1013904223u; return state >> 8; }
      int posix_memalign(void **out, size_t alignment, size_t size);
      bool passes(roost_candidate candidate) {
        (void)candidate;
        for (uint32_t round = 0; round < 20000; round++) {
          uint32_t slot = next() % 64;
          for (uint32_t i = 0; live[slot] && i < sizes[slot]; i += 97)
            if (live[slot][i] != (uint8_t)(slot + 1)) return false;
          free(live[slot]);
          uint32_t alignment = 16u << next() % 4;
          sizes[slot] = next() % (round % 16 ? 3000 : 60000);
          void *block;
          if (posix_memalign(&block, alignment, sizes[slot]) || (uintptr_t)block % alignment) return false;
          live[slot] = block;
          memset(block, (int)(slot + 1), sizes[slot]);
        }
        return __builtin_wasm_memory_size(0) < 256;
      }
      ROOST_DEFINE_FILTER
      """
    try withSource(["guest.c": source]) { folder in
      var limits = WasmLimits()
      limits.filterDeadlineMs = 10_000
      let module = try WasmEngine(limits: limits).compile(builder().build(folder), name: "allocator")
      #expect(try verdicts(module.makeFilter(), [Payload(), Payload()]) == [true, true])
    }
  }
}
