//! Writes a simulated trace: `synthesise convoy|crowd|alone|sleepy|THREADS SECONDS FILE`.

#[path = "../tests/common/workload.rs"]
mod workload;

fn main() -> std::io::Result<()> {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_else(|| "convoy".into());
    let seconds: f64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(2.0);
    let file = words.next().unwrap_or_else(|| "synthetic.gilscope".into());
    let duration = (seconds * 1e9) as i64;
    let bytes = match what.as_str() {
        "alone" => workload::alone(duration),
        "sleepy" => workload::sleepy(duration),
        "crowd" => workload::crowd(200, duration),
        threads if threads.parse::<usize>().is_ok() => {
            workload::crowd(threads.parse().unwrap_or(2), duration)
        }
        _ => workload::convoy(duration),
    };
    std::fs::write(file, bytes)
}
