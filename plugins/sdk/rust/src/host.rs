/// How much a log line matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// The ordinary.
    Info,
    /// The doubtful.
    Warn,
    /// What failed.
    Error,
}

/// Writes a line to the deployment's log (`millrun wasm logs NAME`).
pub fn log(level: Level, message: &str) {
    door::log(level, message);
}

/// Where the records of the current call come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What the records' offsets are deltas of.
    pub base_offset: i64,
    /// What a raw record's time is a delta of, in milliseconds.
    pub base_timestamp: i64,
}

impl Call {
    /// Asks the host for the current call: all empty while a module is being configured.
    pub fn current() -> Call {
        let mut buffer = vec![0; 64];
        let mut size = door::context(&mut buffer);
        if size > buffer.len() {
            buffer.resize(size, 0);
            size = door::context(&mut buffer);
        }
        Call::parse(buffer.get(..size).unwrap_or_default()).unwrap_or_default()
    }

    fn parse(b: &[u8]) -> Option<Call> {
        use crate::record::{i32_at, i64_at};
        let (head, rest) = b.split_at_checked(26)?;
        let size = usize::from(u16::from_le_bytes([head[24], head[25]]));
        Some(Call {
            topic: String::from_utf8_lossy(rest.get(..size)?).into_owned(),
            partition: i32_at(head, 4),
            base_offset: i64_at(head, 8),
            base_timestamp: i64_at(head, 16),
        })
    }
}

/// The topics that the deployment writes to, in the order in which a transform
/// numbers them.
pub fn outputs() -> Vec<String> {
    let variables = door::environment();
    let mut topics = Vec::new();
    for variable in variables.split(|&b| b == 0) {
        let name = format!("MILLRUN_OUTPUT_TOPIC_{}=", topics.len());
        if let Some(topic) = variable.strip_prefix(name.as_bytes()) {
            topics.push(String::from_utf8_lossy(topic).into_owned());
        }
    }
    topics
}

#[cfg(target_arch = "wasm32")]
mod door {
    use super::Level;

    #[link(wasm_import_module = "millrun")]
    extern "C" {
        #[link_name = "log"]
        fn host_log(level: i32, p: *const u8, len: usize);
        #[link_name = "context"]
        fn host_context(p: *mut u8, cap: usize) -> usize;
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    extern "C" {
        fn environ_sizes_get(count: *mut usize, size: *mut usize) -> i32;
        fn environ_get(pointers: *mut *mut u8, buffer: *mut u8) -> i32;
    }

    pub(super) fn log(level: Level, message: &str) {
        // SAFETY: the host reads the message and keeps nothing.
        unsafe { host_log(level as i32, message.as_ptr(), message.len()) }
    }

    pub(super) fn context(buffer: &mut [u8]) -> usize {
        // SAFETY: the host writes at most as many bytes as there are.
        unsafe { host_context(buffer.as_mut_ptr(), buffer.len()) }
    }

    /// NAME=value of each variable, with a zero behind it.
    pub(super) fn environment() -> Vec<u8> {
        let (mut count, mut size) = (0, 0);
        // SAFETY: the second call gets as much room as the first one said.
        unsafe {
            environ_sizes_get(&mut count, &mut size);
            let (mut pointers, mut buffer) = (vec![core::ptr::null_mut(); count], vec![0; size]);
            environ_get(pointers.as_mut_ptr(), buffer.as_mut_ptr());
            buffer
        }
    }
}

/// Outside of WebAssembly, where a module's tests run, log lines go to stderr,
/// there is no call, and the environment is the process's.
#[cfg(not(target_arch = "wasm32"))]
mod door {
    use super::Level;

    pub(super) fn log(_: Level, message: &str) {
        eprintln!("{message}");
    }

    pub(super) fn context(_: &mut [u8]) -> usize {
        0
    }

    pub(super) fn environment() -> Vec<u8> {
        let mut variables: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}\0")).collect();
        variables.sort_by_key(|v| (v.len(), v.clone()));
        variables.concat().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;

    #[test]
    fn calls_are_read_as_the_host_writes_them() {
        let golden = vector("context");
        let want = Call {
            topic: "orders".into(),
            partition: 3,
            base_offset: 4096,
            base_timestamp: 1_700_000_000_000,
        };
        assert_eq!(Call::parse(&golden), Some(want.clone()));
        assert_eq!(Call::parse(&[&golden[..], b"later"].concat()), Some(want));
        for cut in 0..golden.len() {
            assert_eq!(Call::parse(&golden[..cut]), None);
        }
        assert_eq!(Call::current(), Call::default());
    }
}
