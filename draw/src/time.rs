//! Times and durations as text.

/// What times are counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// From `origin`, ns of the trace clock.
    Relative {
        /// Time zero.
        origin: i64,
    },
    /// Time of day.
    Wall {
        /// Added to a time of the trace it gives ns since 1970 in the time zone that is shown.
        offset: i64,
    },
}

/// A duration in the unit that fits it: `830 ns`, `4.98 ms`, `12.3 s`.
pub fn duration(nanos: i64) -> String {
    let size = nanos.unsigned_abs() as f64;
    let (value, unit) = match size {
        0.0..1e3 => return format!("{nanos} ns"),
        1e3..999_500.0 => (size / 1e3, "µs"),
        999_500.0..999_500_000.0 => (size / 1e6, "ms"),
        999_500_000.0..120e9 => (size / 1e9, "s"),
        120e9..7200e9 => (size / 60e9, "min"),
        _ => (size / 3600e9, "h"),
    };
    let sign = if nanos < 0 { "-" } else { "" };
    let digits = match value {
        0.0..9.995 => 2,
        9.995..99.95 => 1,
        _ => 0,
    };
    format!("{sign}{value:.digits$} {unit}")
}

/// A point in time, exact to what `step` ns make visible.
pub fn point(time: i64, step: i64, clock: Clock) -> String {
    match clock {
        Clock::Relative { origin } => relative(time.saturating_sub(origin), step),
        Clock::Wall { offset } => {
            let nanos = time.saturating_add(offset);
            let seconds = nanos.div_euclid(1_000_000_000);
            let of_day = seconds.rem_euclid(86_400);
            let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            let fraction = fraction(nanos.rem_euclid(1_000_000_000), step);
            format!("{hour:02}:{minute:02}:{second:02}{fraction}")
        }
    }
}

/// A time since the origin, in one unit for all ticks of an axis.
fn relative(nanos: i64, step: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let seconds = size / 1_000_000_000;
    let fraction = fraction((size % 1_000_000_000) as i64, step);
    match seconds {
        0..120 => format!("{sign}{seconds}{fraction} s"),
        120..3600 => format!("{sign}{}:{:02}{fraction} min", seconds / 60, seconds % 60),
        _ => format!("{sign}{}:{:02}:{:02}{fraction} h", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

/// The decimals of a second that a step of `step` ns needs, with the point; nothing for whole seconds.
fn fraction(nanos: i64, step: i64) -> String {
    let mut digits: usize = 0;
    let mut unit = 1_000_000_000_i64;
    while digits < 9 && step % unit != 0 {
        unit /= 10;
        digits += 1;
    }
    match digits {
        0 => String::new(),
        _ => format!(".{:0digits$}", nanos / unit),
    }
}

/// The distance of ticks at least `nanos` apart: 1, 2 or 5 times a power of ten; whole minutes and hours beyond.
pub fn tick_step(nanos: f64) -> i64 {
    const LONG: [i64; 12] = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 18_000, 36_000, 86_400, 864_000];
    if nanos > 30e9 {
        let seconds = nanos / 1e9;
        let step = LONG.iter().find(|&&step| step as f64 >= seconds).unwrap_or(&8_640_000);
        return step * 1_000_000_000;
    }
    let mut power = 1_i64;
    loop {
        for factor in [1, 2, 5] {
            if (power * factor) as f64 >= nanos {
                return (power * factor).min(30_000_000_000);
            }
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_three_digits_and_the_unit_that_fits() {
        let texts: Vec<String> =
            [0, 830, 1_500, 999_499, 999_500, 4_980_000, 12_345_000_000, 600_000_000_000, -5_000]
                .into_iter()
                .map(duration)
                .collect();
        assert_eq!(
            texts,
            ["0 ns", "830 ns", "1.50 µs", "999 µs", "1.00 ms", "4.98 ms", "12.3 s", "10.0 min", "-5.00 µs"]
        );
    }

    #[test]
    fn ticks_tell_as_many_decimals_as_their_distance_needs() {
        let clock = Clock::Relative { origin: 1_000 };
        assert_eq!(point(2_500_001_000, 500_000_000, clock), "2.5 s");
        assert_eq!(point(2_500_001_000, 1_000_000_000, clock), "2 s");
        assert_eq!(point(2_000_003_000, 1_000, clock), "2.000002 s");
        assert_eq!(point(150_000_001_000, 1_000_000_000, clock), "2:30 min");
        assert_eq!(point(0, 1_000_000, Clock::Wall { offset: 86_399_999_000_000 }), "23:59:59.999");
    }

    #[test]
    fn ticks_stand_at_round_times() {
        assert_eq!(
            [1.0, 3.0, 700.0, 4.1e9, 31e9, 4e12].map(tick_step),
            [1, 5, 1_000, 5_000_000_000, 60_000_000_000, 7_200_000_000_000]
        );
    }
}
