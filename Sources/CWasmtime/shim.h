// The part of wasmtime's C API that Roost calls, as of version 50. The PyPI wheel that brings the
// library has no headers, so these declarations are written out here. `tools/setup` pins the version;
// Tests/WasmTests/LibraryLayoutTests.swift notices when a layout no longer fits the library.
//
// Deliberately absent: wasm_*type_* introspection. It aborts the process on value types it does not
// know, and the modules we look at come from strangers; `ModuleBinary` reads the binary itself.
#ifndef ROOST_CWASMTIME_SHIM_H
#define ROOST_CWASMTIME_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROOST_WASMTIME_VERSION "50"

// wasm.h

typedef struct wasm_config_t wasm_config_t;
typedef struct wasm_engine_t wasm_engine_t;
typedef struct wasm_trap_t wasm_trap_t;
typedef struct wasm_valtype_t wasm_valtype_t;
typedef struct wasm_functype_t wasm_functype_t;

typedef struct wasm_byte_vec_t {
  size_t size;
  char *_Nullable data;
} wasm_byte_vec_t;

typedef struct wasm_valtype_vec_t {
  size_t size;
  wasm_valtype_t *_Nullable *_Nullable data;
} wasm_valtype_vec_t;

enum { WASM_I32 = 0, WASM_I64 = 1, WASM_F32 = 2, WASM_F64 = 3 };

wasm_config_t *_Nullable wasm_config_new(void);
wasm_engine_t *_Nullable wasm_engine_new_with_config(wasm_config_t *_Nonnull);
void wasm_engine_delete(wasm_engine_t *_Nonnull);
void wasm_byte_vec_delete(wasm_byte_vec_t *_Nonnull);
void wasm_trap_message(const wasm_trap_t *_Nonnull, wasm_byte_vec_t *_Nonnull);
void wasm_trap_delete(wasm_trap_t *_Nonnull);
wasm_valtype_t *_Nullable wasm_valtype_new(uint8_t kind);
void wasm_valtype_vec_new(
    wasm_valtype_vec_t *_Nonnull, size_t, wasm_valtype_t *_Nullable const *_Nullable);
wasm_functype_t *_Nullable wasm_functype_new(
    wasm_valtype_vec_t *_Nonnull params, wasm_valtype_vec_t *_Nonnull results);
void wasm_functype_delete(wasm_functype_t *_Nonnull);

// wasmtime/error.h, wasmtime/trap.h

typedef struct wasmtime_error wasmtime_error_t;

wasmtime_error_t *_Nullable wasmtime_error_new(const char *_Nonnull);
void wasmtime_error_message(const wasmtime_error_t *_Nonnull, wasm_byte_vec_t *_Nonnull);
void wasmtime_error_delete(wasmtime_error_t *_Nonnull);

enum {
  WASMTIME_TRAP_CODE_STACK_OVERFLOW = 0,
  WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS = 1,
  WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED = 9,
  WASMTIME_TRAP_CODE_INTERRUPT = 10,
};

wasm_trap_t *_Nonnull wasmtime_trap_new(const char *_Nonnull, size_t);
bool wasmtime_trap_code(const wasm_trap_t *_Nonnull, uint8_t *_Nonnull code);

// wasmtime/config.h

typedef struct wasmtime_pooling_allocation_config_t wasmtime_pooling_allocation_config_t;

enum { WASMTIME_OPT_LEVEL_SPEED = 1 };

void wasmtime_config_epoch_interruption_set(wasm_config_t *_Nonnull, bool);
void wasmtime_config_max_wasm_stack_set(wasm_config_t *_Nonnull, size_t);
void wasmtime_config_cranelift_opt_level_set(wasm_config_t *_Nonnull, uint8_t);
void wasmtime_config_parallel_compilation_set(wasm_config_t *_Nonnull, bool);
void wasmtime_config_memory_reservation_set(wasm_config_t *_Nonnull, uint64_t);
void wasmtime_config_memory_guard_size_set(wasm_config_t *_Nonnull, uint64_t);
void wasmtime_config_wasm_threads_set(wasm_config_t *_Nonnull, bool);
void wasmtime_config_wasm_tail_call_set(wasm_config_t *_Nonnull, bool);
void wasmtime_config_wasm_function_references_set(wasm_config_t *_Nonnull, bool);
void wasmtime_config_wasm_gc_set(wasm_config_t *_Nonnull, bool);
void wasmtime_config_wasm_relaxed_simd_set(wasm_config_t *_Nonnull, bool);
void wasmtime_config_wasm_multi_memory_set(wasm_config_t *_Nonnull, bool);
void wasmtime_config_wasm_memory64_set(wasm_config_t *_Nonnull, bool);
void wasmtime_config_wasm_exceptions_set(wasm_config_t *_Nonnull, bool);

wasmtime_pooling_allocation_config_t *_Nullable wasmtime_pooling_allocation_config_new(void);
void wasmtime_pooling_allocation_config_delete(wasmtime_pooling_allocation_config_t *_Nonnull);
void wasmtime_pooling_allocation_config_total_core_instances_set(
    wasmtime_pooling_allocation_config_t *_Nonnull, uint32_t);
void wasmtime_pooling_allocation_config_total_memories_set(
    wasmtime_pooling_allocation_config_t *_Nonnull, uint32_t);
void wasmtime_pooling_allocation_config_total_stacks_set(
    wasmtime_pooling_allocation_config_t *_Nonnull, uint32_t);
void wasmtime_pooling_allocation_config_total_tables_set(
    wasmtime_pooling_allocation_config_t *_Nonnull, uint32_t);
void wasmtime_pooling_allocation_config_table_elements_set(
    wasmtime_pooling_allocation_config_t *_Nonnull, size_t);
void wasmtime_pooling_allocation_config_max_memory_size_set(
    wasmtime_pooling_allocation_config_t *_Nonnull, size_t);
void wasmtime_pooling_allocation_config_max_core_instance_size_set(
    wasmtime_pooling_allocation_config_t *_Nonnull, size_t);
void wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(
    wasmtime_pooling_allocation_config_t *_Nonnull, size_t);
void wasmtime_pooling_allocation_config_max_unused_warm_slots_set(
    wasmtime_pooling_allocation_config_t *_Nonnull, uint32_t);
void wasmtime_pooling_allocation_strategy_set(
    wasm_config_t *_Nonnull, const wasmtime_pooling_allocation_config_t *_Nonnull);

// wasmtime/engine.h, wasmtime/module.h, wasmtime/store.h

typedef struct wasmtime_module wasmtime_module_t;
typedef struct wasmtime_store wasmtime_store_t;
typedef struct wasmtime_context wasmtime_context_t;

void wasmtime_engine_increment_epoch(wasm_engine_t *_Nonnull);

wasmtime_error_t *_Nullable wasmtime_module_new(
    wasm_engine_t *_Nonnull, const uint8_t *_Nonnull wasm, size_t wasm_len,
    wasmtime_module_t *_Nullable *_Nonnull);
void wasmtime_module_delete(wasmtime_module_t *_Nonnull);
wasmtime_error_t *_Nullable wasmtime_module_serialize(wasmtime_module_t *_Nonnull, wasm_byte_vec_t *_Nonnull);
// The bytes are machine code: only what `wasmtime_module_serialize` gave may come here.
wasmtime_error_t *_Nullable wasmtime_module_deserialize(
    wasm_engine_t *_Nonnull, const uint8_t *_Nonnull bytes, size_t bytes_len,
    wasmtime_module_t *_Nullable *_Nonnull);

wasmtime_store_t *_Nullable wasmtime_store_new(
    wasm_engine_t *_Nonnull, void *_Nullable data, void (*_Nullable finalizer)(void *_Nullable));
void wasmtime_store_delete(wasmtime_store_t *_Nonnull);
wasmtime_context_t *_Nonnull wasmtime_store_context(wasmtime_store_t *_Nonnull);
void wasmtime_store_limiter(
    wasmtime_store_t *_Nonnull, int64_t memory_size, int64_t table_elements, int64_t instances,
    int64_t tables, int64_t memories);
// Called when the deadline is reached: returns an error to end the call, or sets the ticks to go on for.
// `kind` stays WASMTIME_UPDATE_DEADLINE_CONTINUE, 0.
void wasmtime_store_epoch_deadline_callback(
    wasmtime_store_t *_Nonnull,
    wasmtime_error_t *_Nullable (*_Nonnull)(
        wasmtime_context_t *_Nonnull, void *_Nullable data, uint64_t *_Nonnull ticks, uint8_t *_Nonnull kind),
    void *_Nullable data, void (*_Nullable finalizer)(void *_Nullable));
void *_Nullable wasmtime_context_get_data(const wasmtime_context_t *_Nonnull);
void wasmtime_context_set_epoch_deadline(wasmtime_context_t *_Nonnull, uint64_t ticks_beyond_current);

// wasmtime/extern.h, wasmtime/val.h

typedef struct wasmtime_func {
  uint64_t store_id;
  void *_Nullable private_1;
} wasmtime_func_t;

typedef struct wasmtime_global {
  uint64_t store_id;
  uint32_t private_1;
  uint32_t private_2;
  uint32_t private_3;
} wasmtime_global_t;

// Tables, memories and tags: an inner struct, padded to 16 bytes, and one more word.
typedef struct wasmtime_memory {
  struct {
    uint64_t store_id;
    uint32_t private_1;
  } part;
  uint32_t private_2;
} wasmtime_memory_t;

enum { WASMTIME_EXTERN_FUNC = 0, WASMTIME_EXTERN_MEMORY = 3 };

typedef struct wasmtime_extern {
  uint8_t kind;
  union {
    wasmtime_func_t func;
    wasmtime_global_t global;
    wasmtime_memory_t memory;
    void *_Nullable sharedmemory;
  } of;
} wasmtime_extern_t;

typedef union wasmtime_val_raw {
  int32_t i32;
  int64_t i64;
  float f32;
  double f64;
  uint8_t v128[16];
} wasmtime_val_raw_t;

typedef struct wasmtime_instance {
  uint64_t store_id;
  size_t private_1;
} wasmtime_instance_t;

_Static_assert(sizeof(wasmtime_func_t) == 16, "wasmtime_func_t of version 50");
_Static_assert(sizeof(wasmtime_memory_t) == 24, "wasmtime_memory_t of version 50");
_Static_assert(sizeof(wasmtime_global_t) == 24, "wasmtime_global_t of version 50");
_Static_assert(sizeof(wasmtime_extern_t) == 32, "wasmtime_extern_t of version 50");
_Static_assert(sizeof(wasmtime_val_raw_t) == 16, "wasmtime_val_raw_t of version 50");
_Static_assert(sizeof(wasmtime_instance_t) == 16, "wasmtime_instance_t of version 50");

void wasmtime_extern_delete(wasmtime_extern_t *_Nonnull);

// wasmtime/func.h, wasmtime/instance.h, wasmtime/linker.h, wasmtime/memory.h, wasmtime/wat.h

typedef struct wasmtime_caller wasmtime_caller_t;
typedef struct wasmtime_linker wasmtime_linker_t;
typedef struct wasmtime_instance_pre wasmtime_instance_pre_t;

typedef wasm_trap_t *_Nullable (*wasmtime_func_unchecked_callback_t)(
    void *_Nullable env, wasmtime_caller_t *_Nonnull, wasmtime_val_raw_t *_Nonnull args_and_results,
    size_t args_and_results_len);

wasmtime_error_t *_Nullable wasmtime_func_call_unchecked(
    wasmtime_context_t *_Nonnull, const wasmtime_func_t *_Nonnull,
    wasmtime_val_raw_t *_Nonnull args_and_results, size_t args_and_results_len,
    wasm_trap_t *_Nullable *_Nonnull trap);
bool wasmtime_caller_export_get(
    wasmtime_caller_t *_Nonnull, const char *_Nonnull name, size_t name_len, wasmtime_extern_t *_Nonnull);
wasmtime_context_t *_Nonnull wasmtime_caller_context(wasmtime_caller_t *_Nonnull);

wasmtime_linker_t *_Nonnull wasmtime_linker_new(wasm_engine_t *_Nonnull);
void wasmtime_linker_delete(wasmtime_linker_t *_Nonnull);
wasmtime_error_t *_Nullable wasmtime_linker_define_func_unchecked(
    wasmtime_linker_t *_Nonnull, const char *_Nonnull module, size_t module_len, const char *_Nonnull name,
    size_t name_len, const wasm_functype_t *_Nonnull, wasmtime_func_unchecked_callback_t _Nonnull,
    void *_Nullable data, void (*_Nullable finalizer)(void *_Nullable));
wasmtime_error_t *_Nullable wasmtime_linker_instantiate_pre(
    const wasmtime_linker_t *_Nonnull, const wasmtime_module_t *_Nonnull,
    wasmtime_instance_pre_t *_Nullable *_Nonnull);
wasmtime_error_t *_Nullable wasmtime_instance_pre_instantiate(
    const wasmtime_instance_pre_t *_Nonnull, wasmtime_context_t *_Nonnull, wasmtime_instance_t *_Nonnull,
    wasm_trap_t *_Nullable *_Nonnull trap);
void wasmtime_instance_pre_delete(wasmtime_instance_pre_t *_Nonnull);
bool wasmtime_instance_export_get(
    wasmtime_context_t *_Nonnull, const wasmtime_instance_t *_Nonnull, const char *_Nonnull name,
    size_t name_len, wasmtime_extern_t *_Nonnull);

uint8_t *_Nullable wasmtime_memory_data(wasmtime_context_t *_Nonnull, const wasmtime_memory_t *_Nonnull);
size_t wasmtime_memory_data_size(const wasmtime_context_t *_Nonnull, const wasmtime_memory_t *_Nonnull);

wasmtime_error_t *_Nullable wasmtime_wat2wasm(
    const char *_Nonnull wat, size_t wat_len, wasm_byte_vec_t *_Nonnull ret);

#endif
