//! Figures in words.

/// A length of time with three digits at most: `5.00 ms`, `812 µs`, `1.20 s`.
pub(crate) fn time(ns: i64) -> String {
    let (value, unit) = match ns.unsigned_abs() {
        0 => return String::from("0"),
        1..1_000 => return format!("{ns} ns"),
        1_000..999_500 => (ns as f64 / 1e3, "µs"),
        999_500..999_500_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    match value.abs() {
        0.0..9.995 => format!("{value:.2} {unit}"),
        9.995..99.95 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// A count with a thin grouping: `1 204 331`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A share of 0 to 1 in percent: `93 %`, `0.4 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p <= 0.0 => String::from("0 %"),
        p if p < 0.1 => String::from("<0.1 %"),
        p if p < 9.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A rate: `200`, `1 540`, `0.42`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        r if !r.is_finite() || r <= 0.0 => String::from("0"),
        r if r < 9.95 => format!("{r:.1}"),
        r => count(r.round().min(1e18) as u64),
    }
}

/// `1 stall`, `2 stalls`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", count(number)),
    }
}

/// `a`, `a and b`, `a, b and c`; at most three by name.
pub(crate) fn list(names: &[String]) -> String {
    match names {
        [] => String::from("nobody"),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} others", rest.len()),
    }
}

/// Share of a part in a whole; 0 of nothing.
pub(crate) fn share(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Events per second.
pub(crate) fn per_second(events: u64, ns: i64) -> f64 {
    if ns <= 0 { 0.0 } else { events as f64 * 1e9 / ns as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let cases = [
            (0, "0"),
            (999, "999 ns"),
            (5_000_000, "5.00 ms"),
            (999_600, "1.00 ms"),
            (12_345, "12.3 µs"),
            (1_200_000_000, "1.20 s"),
        ];
        for (ns, text) in cases {
            assert_eq!(time(ns), text);
        }
        assert_eq!(count(1_204_331), "1 204 331");
        assert_eq!(percent(0.934), "93 %");
        assert_eq!(percent(0.004), "0.4 %");
        assert_eq!(rate(200.2), "200");
    }
}
