//! What the macros export to the host. Not for direct use.

use crate::{BytesEmbedder, Candidate, Changes, Embedder, Error, Fields, Filter, Scorer, Transform};
use std::alloc::{alloc, dealloc, Layout};
use std::cell::UnsafeCell;

/// A value that the exported functions share; guests have one thread.
pub struct Global<T>(UnsafeCell<Option<T>>);

unsafe impl<T> Sync for Global<T> {}

impl<T> Global<T> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Global<T> {
        Global(UnsafeCell::new(None))
    }

    #[allow(clippy::mut_from_ref)]
    fn get(&self) -> &mut Option<T> {
        unsafe { &mut *self.0.get() }
    }
}

static BUFFER: Global<(*mut u8, Layout)> = Global::new();
static MESSAGE: Global<Error> = Global::new();
static NAMES: Global<String> = Global::new();
static VECTOR: Global<String> = Global::new();
static DIMENSION: Global<usize> = Global::new();
static ANSWERS: Global<Vec<Result<Vec<u8>, Error>>> = Global::new();

/// Sends the message of a panic to the node's log.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log(crate::Level::Error, &panic.to_string())));
}

pub fn buffer(size: u32) -> *mut u8 {
    if let Some((block, layout)) = BUFFER.get().take() {
        unsafe { dealloc(block, layout) };
    }
    let layout = match Layout::from_size_align(size.max(16) as usize, 16) {
        Ok(layout) => layout,
        Err(_) => return std::ptr::null_mut(),
    };
    let block = unsafe { alloc(layout) };
    if !block.is_null() {
        *BUFFER.get() = Some((block, layout));
    }
    block
}

fn span(bytes: &[u8]) -> u64 {
    (bytes.as_ptr() as usize as u64) << 32 | bytes.len() as u64
}

pub fn message() -> u64 {
    MESSAGE.get().as_ref().map_or(0, |error| span(error.0.as_bytes()))
}

fn fail(error: Error) -> i32 {
    *MESSAGE.get() = Some(error);
    -1
}

/// A copy of the parameters, which stays: the host's bytes go away with the call.
fn kept(parameters: *const u8, size: u32) -> Fields<'static> {
    let bytes = unsafe { std::slice::from_raw_parts(parameters, size as usize) };
    Fields::new(Vec::from(bytes).leak())
}

pub fn configure<T>(
    guest: &Global<T>, new: fn(Fields<'static>) -> Result<T, Error>, parameters: *const u8, size: u32,
) -> i32 {
    match new(kept(parameters, size)) {
        Ok(made) => {
            *guest.get() = Some(made);
            0
        }
        Err(error) => fail(error),
    }
}

pub fn fields<T>(guest: &Global<T>, names: fn(&T) -> Vec<&str>) -> u64 {
    match guest.get() {
        Some(guest) => span(NAMES.get().insert(names(guest).join("\n")).as_bytes()),
        None => 0,
    }
}

pub fn vector<T>(guest: &Global<T>, name: fn(&T) -> Option<&str>) -> u64 {
    match guest.get().as_ref().and_then(|guest| name(guest)) {
        Some(name) => span(VECTOR.get().insert(name.into()).as_bytes()),
        None => 0,
    }
}

pub fn query<T>(guest: &Global<T>, begin: fn(&mut T, &[f32]), near: *const f32, count: u32, dimension: u32) -> i32 {
    *DIMENSION.get() = Some(dimension as usize);
    if let Some(guest) = guest.get() {
        begin(guest, unsafe { std::slice::from_raw_parts(near, count as usize) });
    }
    0
}

/// A batch (spec/wasm-abi.md, "Batches").
struct Batch {
    input: *const u8,
    count: usize,
    distances: Option<*const f32>,
    vectors: *const f32,
    dimension: usize,
}

impl Batch {
    fn new(input: *const u8, count: u32, has_distances: bool) -> Batch {
        let count = count as usize;
        let end = unsafe { *(input as *const u32).add(count) } as usize;
        let behind = (input as usize + end + 15) & !15;
        let distances = if has_distances { Some(behind as *const f32) } else { None };
        let vectors = if has_distances { behind + ((count * 4 + 15) & !15) } else { behind };
        Batch { input, count, distances, vectors: vectors as *const f32, dimension: DIMENSION.get().unwrap_or(0) }
    }

    #[inline]
    fn item(&self, index: usize) -> &[u8] {
        unsafe {
            let offsets = self.input as *const u32;
            let (start, end) = (*offsets.add(index) as usize, *offsets.add(index + 1) as usize);
            std::slice::from_raw_parts(self.input.add(start), end - start)
        }
    }

    #[inline]
    fn candidate(&self, index: usize) -> Candidate<'_> {
        Candidate {
            fields: Fields::new(self.item(index)),
            distance: self.distances.map_or(0.0, |distances| unsafe { *distances.add(index) }),
            vector: unsafe {
                std::slice::from_raw_parts(self.vectors.add(index * self.dimension), self.dimension)
            },
        }
    }
}

pub fn filter<T: Filter>(guest: &Global<T>, input: *const u8, count: u32, output: *mut u8) -> i32 {
    let guest = match guest.get() {
        Some(guest) => guest,
        None => return fail("the filter has no parameters yet".into()),
    };
    let batch = Batch::new(input, count, false);
    for index in 0..batch.count {
        unsafe { *output.add(index) = u8::from(guest.passes(&batch.candidate(index))) };
    }
    count as i32
}

pub fn score<T: Scorer>(guest: &Global<T>, input: *const u8, count: u32, output: *mut f32) -> i32 {
    let guest = match guest.get() {
        Some(guest) => guest,
        None => return fail("the scorer has no parameters yet".into()),
    };
    let batch = Batch::new(input, count, true);
    for index in 0..batch.count {
        unsafe { *output.add(index) = guest.score(&batch.candidate(index)) };
    }
    count as i32
}

pub fn transform<T: Transform>(guest: &Global<T>, input: *const u8, count: u32, output: *mut u32) -> i32 {
    let guest = match guest.get() {
        Some(guest) => guest,
        None => return fail("the transform has no parameters yet".into()),
    };
    let batch = Batch::new(input, count, false);
    let answers = ANSWERS.get().insert(Vec::with_capacity(batch.count));
    for index in 0..batch.count {
        let mut changes = Changes::default();
        let result = guest.transform(&Fields::new(batch.item(index)), &mut changes);
        answers.push(result.map(|()| changes.encoded()));
    }
    // The host reads them until the next call.
    for (index, answer) in answers.iter().enumerate() {
        let (status, bytes) = match answer {
            Ok(bytes) => (0, bytes.as_slice()),
            Err(error) => (1, error.0.as_bytes()),
        };
        unsafe {
            let words = output.add(3 * index);
            *words = status;
            *words.add(1) = bytes.as_ptr() as usize as u32;
            *words.add(2) = bytes.len() as u32;
        }
    }
    count as i32
}

fn embed_batch(
    input: *const u8, count: u32, output: *mut f32, dimension: usize,
    mut embed: impl FnMut(&[u8], &mut [f32]) -> Result<(), Error>,
) -> i32 {
    let batch = Batch::new(input, count, false);
    for index in 0..batch.count {
        let vector = unsafe { std::slice::from_raw_parts_mut(output.add(index * dimension), dimension) };
        vector.fill(0.0);
        if let Err(error) = embed(batch.item(index), vector) {
            return fail(error);
        }
    }
    count as i32
}

pub fn embed<T: Embedder>(guest: &Global<T>, input: *const u8, count: u32, output: *mut f32) -> i32 {
    let guest = guest.get().get_or_insert_with(T::new);
    embed_batch(input, count, output, T::DIMENSION, |text, vector| {
        guest.embed(unsafe { std::str::from_utf8_unchecked(text) }, vector)
    })
}

pub fn embed_bytes<T: BytesEmbedder>(guest: &Global<T>, input: *const u8, count: u32, output: *mut f32) -> i32 {
    let guest = guest.get().get_or_insert_with(T::new);
    embed_batch(input, count, output, T::DIMENSION, |bytes, vector| guest.embed(bytes, vector))
}

/// The exports that every module has.
#[doc(hidden)]
#[macro_export]
macro_rules! common_exports {
    ($guest:ty) => {
        static ROOST_GUEST: $crate::export::Global<$guest> = $crate::export::Global::new();
        #[no_mangle]
        pub extern "C" fn roost_abi() -> i32 {
            $crate::export::report_panics();
            1
        }
        #[no_mangle]
        pub extern "C" fn roost_buffer(size: u32) -> *mut u8 {
            $crate::export::buffer(size)
        }
        #[no_mangle]
        pub extern "C" fn roost_message() -> u64 {
            $crate::export::message()
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! configured_exports {
    ($guest:ty, $kind:ident) => {
        $crate::common_exports!($guest);
        #[no_mangle]
        pub extern "C" fn roost_configure(parameters: *const u8, size: u32) -> i32 {
            $crate::export::configure(&ROOST_GUEST, <$guest as $crate::$kind>::new, parameters, size)
        }
        #[no_mangle]
        pub extern "C" fn roost_fields() -> u64 {
            $crate::export::fields(&ROOST_GUEST, <$guest as $crate::$kind>::fields)
        }
    };
}

/// Exports a type as a filter.
#[macro_export]
macro_rules! filter {
    ($guest:ty) => {
        $crate::configured_exports!($guest, Filter);
        #[no_mangle]
        pub extern "C" fn roost_vector() -> u64 {
            $crate::export::vector(&ROOST_GUEST, <$guest as $crate::Filter>::vector)
        }
        #[no_mangle]
        pub extern "C" fn roost_query(near: *const f32, count: u32, dimension: u32) -> i32 {
            $crate::export::query(&ROOST_GUEST, |_, _| {}, near, count, dimension)
        }
        #[no_mangle]
        pub extern "C" fn roost_filter(input: *const u8, count: u32, output: *mut u8) -> i32 {
            $crate::export::filter(&ROOST_GUEST, input, count, output)
        }
    };
}

/// Exports a type as a scorer.
#[macro_export]
macro_rules! scorer {
    ($guest:ty) => {
        $crate::configured_exports!($guest, Scorer);
        #[no_mangle]
        pub extern "C" fn roost_vector() -> u64 {
            $crate::export::vector(&ROOST_GUEST, <$guest as $crate::Scorer>::vector)
        }
        #[no_mangle]
        pub extern "C" fn roost_query(near: *const f32, count: u32, dimension: u32) -> i32 {
            $crate::export::query(&ROOST_GUEST, <$guest as $crate::Scorer>::begin, near, count, dimension)
        }
        #[no_mangle]
        pub extern "C" fn roost_score(input: *const u8, count: u32, output: *mut f32) -> i32 {
            $crate::export::score(&ROOST_GUEST, input, count, output)
        }
    };
}

/// Exports a type as a transform.
#[macro_export]
macro_rules! transform {
    ($guest:ty) => {
        $crate::configured_exports!($guest, Transform);
        #[no_mangle]
        pub extern "C" fn roost_transform(input: *const u8, count: u32, output: *mut u32) -> i32 {
            $crate::export::transform(&ROOST_GUEST, input, count, output)
        }
    };
}

/// Exports a type as an embedder of texts.
#[macro_export]
macro_rules! embedder {
    ($guest:ty) => {
        $crate::common_exports!($guest);
        #[no_mangle]
        pub extern "C" fn roost_dimension() -> i32 {
            <$guest as $crate::Embedder>::DIMENSION as i32
        }
        #[no_mangle]
        pub extern "C" fn roost_embed(input: *const u8, count: u32, output: *mut f32) -> i32 {
            $crate::export::embed(&ROOST_GUEST, input, count, output)
        }
    };
}

/// Exports a type as an embedder of bytes.
#[macro_export]
macro_rules! bytes_embedder {
    ($guest:ty) => {
        $crate::common_exports!($guest);
        #[no_mangle]
        pub extern "C" fn roost_dimension() -> i32 {
            <$guest as $crate::BytesEmbedder>::DIMENSION as i32
        }
        #[no_mangle]
        pub extern "C" fn roost_embed_bytes(input: *const u8, count: u32, output: *mut f32) -> i32 {
            $crate::export::embed_bytes(&ROOST_GUEST, input, count, output)
        }
    };
}
