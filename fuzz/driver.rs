//! Runs fuzzing targets without a fuzzer: mutates seeds at random and without feedback, the same way each time. So every
//! toolchain can run them, as unit tests; `fuzz/` runs the same targets under libFuzzer.
//!
//! The unit tests of berth, berth-init and the command line each include this file.
//!
//! BERTH_FUZZ_SECONDS  how long each target runs; by default a few hundred inputs
//! BERTH_FUZZ_SEED     the start of the random numbers
//! BERTH_FUZZ_INPUT    a file: each target runs this input alone
//! BERTH_FUZZ_SHOW     prints each input before it is run: for inputs that end the process or never end

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// A target: its name, what it does with an input, and its seeds.
pub type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// The number of inputs without BERTH_FUZZ_SECONDS. Miri is some thousand times slower.
const INPUTS: u64 = if cfg!(miri) { 10 } else { 300 };
/// No input may take longer, on a busy machine either.
const SLOW: Duration = Duration::from_secs(if cfg!(miri) { 600 } else { 10 });
const LARGEST: usize = if cfg!(miri) { 512 } else { 64 << 10 };
const MOST_WORDS: usize = if cfg!(miri) { 20 } else { 100_000 };
const SEED: u64 = 0x6265_7274_6820_6f6b;

/// Runs a target as a test.
pub fn drive((name, run, seeds): Target) {
    if let Some(file) = variable("BERTH_FUZZ_INPUT") {
        return run(&std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}")));
    }
    let seconds: Option<f64> = variable("BERTH_FUZZ_SECONDS").and_then(|text| text.parse().ok());
    let start = variable("BERTH_FUZZ_SEED").and_then(|text| text.parse().ok()).unwrap_or(SEED);
    let mut seeds = seeds();
    seeds.extend(corpus(name));
    let mut mutator = Mutator::new(start, seeds);
    let began = Instant::now();
    let mut count = 0;
    let go_on = |count| match seconds {
        Some(seconds) => began.elapsed().as_secs_f64() < seconds,
        None => count < INPUTS,
    };
    // First the seeds as they are.
    while count < mutator.seeds.len() as u64 || go_on(count) {
        let input = match mutator.seeds.get(count as usize) {
            Some(seed) => seed.clone(),
            None => mutator.next(),
        };
        attempt(name, run, &input, count);
        count += 1;
    }
    println!("{name}: {count} inputs in {} ms, BERTH_FUZZ_SEED={start}", began.elapsed().as_millis());
}

/// Writes the seeds of a target into a folder of its name, for a fuzzer.
#[cfg(fuzzing)]
pub fn write_seeds(folder: &Path, (name, _, seeds): Target) {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).expect("creating the folder of seeds");
    for (number, seed) in seeds().iter().enumerate() {
        std::fs::write(folder.join(number.to_string()), seed).expect("writing a seed");
    }
}

fn attempt(name: &str, run: fn(&[u8]), input: &[u8], count: u64) {
    if variable("BERTH_FUZZ_SHOW").is_some() {
        eprintln!("{name} {count}: {}", input.escape_ascii());
    }
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| run(input)));
    let took = began.elapsed();
    if result.is_err() || took > SLOW {
        eprintln!("{name}: input {count} ({} bytes, {} ms): {}", input.len(), took.as_millis(), input.escape_ascii());
    }
    result.unwrap_or_else(|panic| resume_unwind(panic));
    assert!(took <= SLOW, "{name}: an input takes {took:?}");
}

fn variable(name: &str) -> Option<String> {
    // Miri isolates the tests from the environment, and then there is none.
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Returns the files of fuzz/corpus/<target>: seeds that are no text, and inputs that have found something.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    if cfg!(miri) {
        return Vec::new();
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [package.join("fuzz/corpus").join(name), package.join("../fuzz/corpus").join(name)];
    let Some(listing) = folders.iter().find_map(|folder| std::fs::read_dir(folder).ok()) else { return Vec::new() };
    let mut files: Vec<_> = listing.map(|entry| entry.expect("listing the corpus").path()).collect();
    // Independent of the filesystem's order.
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("reading the corpus")).collect()
}

/// Texts that parsers have trouble with, beside the words of the seeds.
const WORDS: [&[u8]; 40] = [
    b"0",
    b"-1",
    b"1",
    b"-0",
    b"00",
    b"+1",
    b"1e400",
    b"0.5",
    b"127",
    b"255",
    b"256",
    b"4095",
    b"65535",
    b"65536",
    b"2147483647",
    b"-2147483648",
    b"2147483648",
    b"4294967294",
    b"4294967295",
    b"4294967296",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"null",
    b"true",
    b"false",
    b"\"\"",
    b"[]",
    b"{}",
    b"\"..\"",
    b"\"/\"",
    b"\"a\\u0000b\"",
    b"\"\xff\"",
    b"max",
    b"\n",
    b"\0",
    b":",
    b"=",
];

/// xorshift64*, as in the literature.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }
}

struct Mutator {
    random: Random,
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    fn new(start: u64, seeds: Vec<Vec<u8>>) -> Mutator {
        let words = seeds.iter().flat_map(|seed| tokens(seed).map(<[u8]>::to_vec));
        let mut words: Vec<Vec<u8>> = words.take(MOST_WORDS).collect();
        words.sort();
        words.dedup();
        Mutator { random: Random(start | 1), seeds, words }
    }

    fn next(&mut self) -> Vec<u8> {
        let mut input = self.any_seed();
        for _ in 0..=self.random.below(6) {
            self.mutate(&mut input);
        }
        input.truncate(LARGEST);
        input
    }

    fn any_seed(&mut self) -> Vec<u8> {
        if self.seeds.is_empty() {
            return Vec::new();
        }
        let index = self.random.below(self.seeds.len());
        self.seeds[index].clone()
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        match self.random.below(12) {
            0..=3 => self.replace_token(input),
            4 => self.remove_token(input),
            5 => self.repeat_token(input),
            6 => self.splice(input),
            7 => self.overwrite(input),
            8 => {
                let at = self.random.below(input.len() + 1);
                input.truncate(at);
            }
            9 => {
                let (at, byte) = (self.random.below(input.len() + 1), self.random.next() as u8);
                input.insert(at, byte);
            }
            10 => {
                let range = self.range(input.len());
                input.drain(range);
            }
            _ => {
                if !input.is_empty() {
                    let (at, bit) = (self.random.below(input.len()), self.random.below(8));
                    input[at] ^= 1 << bit;
                }
            }
        }
    }

    /// Returns a short range within `length`.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.random.below(length + 1);
        let end = start + self.random.below((length - start).min(16) + 1);
        start..end
    }

    /// Chooses a token of the input, and the whole object or list if it opens one.
    fn token(&mut self, input: &[u8]) -> Option<std::ops::Range<usize>> {
        let start = self.random.below(input.len().max(1));
        let token = tokens(&input[start.min(input.len())..]).next()?;
        let begin = token.as_ptr() as usize - input.as_ptr() as usize;
        Some(begin..begin + token.len())
    }

    fn word(&mut self) -> Vec<u8> {
        let index = self.random.below(self.words.len() + WORDS.len());
        match self.words.get(index) {
            Some(word) => word.clone(),
            None => WORDS[index - self.words.len()].to_vec(),
        }
    }

    fn replace_token(&mut self, input: &mut Vec<u8>) {
        let Some(range) = self.token(input) else { return };
        // Half of the time with a word that no seed has.
        let word = match self.random.below(2) {
            0 => WORDS[self.random.below(WORDS.len())].to_vec(),
            _ => self.word(),
        };
        input.splice(range, word);
    }

    fn remove_token(&mut self, input: &mut Vec<u8>) {
        if let Some(range) = self.token(input) {
            input.drain(range);
        }
    }

    /// Repeats a token, at times until the input is large.
    fn repeat_token(&mut self, input: &mut Vec<u8>) {
        let Some(range) = self.token(input) else { return };
        let times = if self.random.below(16) == 0 { 2000 } else { 1 + self.random.below(3) };
        let times = times.min(LARGEST / range.len().max(1));
        let copies = input[range.clone()].repeat(times);
        input.splice(range.end..range.end, copies);
    }

    /// Replaces the end by that of another seed.
    fn splice(&mut self, input: &mut Vec<u8>) {
        let other = self.any_seed();
        let (at, from) = (self.random.below(input.len() + 1), self.random.below(other.len() + 1));
        input.truncate(at);
        input.extend_from_slice(&other[from..]);
    }

    /// Overwrites a number of a binary format, aligned as most are.
    fn overwrite(&mut self, input: &mut [u8]) {
        const NUMBERS: [u64; 9] = [0, 1, 4, 16, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];
        let size = 1 << self.random.below(4);
        let at = self.random.below(input.len() + 1) / size * size;
        let number = match self.random.below(3) {
            0 => self.random.next() % (input.len() as u64 + 1),
            1 => self.random.next(),
            _ => NUMBERS[self.random.below(NUMBERS.len())],
        };
        if let Some(place) = input.get_mut(at..at + size) {
            place.copy_from_slice(&number.to_le_bytes()[..size]);
        }
    }
}

/// Iterates over tokens of JSON or of a kernel file: strings, words, whole objects and lists, and single other characters.
fn tokens(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += text[at..].iter().position(|byte| !byte.is_ascii_whitespace())?;
        let rest = &text[at..];
        let end = match rest[0] {
            b'"' => closing_quote(rest),
            // The members follow as tokens of their own.
            b'{' | b'[' => {
                at += 1;
                return Some(&rest[..closing_bracket(rest)]);
            }
            byte if is_word(byte) => rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len()),
            _ => 1,
        };
        at += end;
        Some(&rest[..end])
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.+/".contains(&byte)
}

fn closing_quote(text: &[u8]) -> usize {
    let mut escaped = true; // the quote itself
    let end = text.iter().position(|byte| match (escaped, byte) {
        (true, _) => {
            escaped = false;
            false
        }
        (false, b'\\') => {
            escaped = true;
            false
        }
        (false, byte) => *byte == b'"',
    });
    end.map_or(1, |end| end + 1)
}

fn closing_bracket(text: &[u8]) -> usize {
    let mut depth = 0;
    for (index, byte) in text.iter().enumerate() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    1
}
