//! Renders a trace: `render FILE OUT.svg|OUT.png [WIDTH] [FROM_MS TO_MS]`.

use gilscope_analysis::Engine;
use gilscope_draw::{PictureOptions, Theme, picture, picture_png};
use gilscope_trace::{Next, Reader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut reader = Reader::open(words[0].as_ref())?;
    let mut engine = Engine::new(reader.header());
    while let Next::Batch(batch) = reader.next_batch()? {
        engine.push(&batch);
    }
    let model = engine.finish();
    let number = |place: usize| words.get(place).and_then(|word| word.parse::<f64>().ok());
    let options = PictureOptions {
        width: number(2).unwrap_or(1280.0) as f32,
        from: number(3).map(|ms| (ms * 1e6) as i64),
        until: number(4).map(|ms| (ms * 1e6) as i64),
        theme: if words.get(5).is_some() { Theme::Light } else { Theme::Dark },
        title: Some(words[0].clone()),
        ..PictureOptions::default()
    };
    println!(
        "{} events, {} threads, {} stalls, {} convoys",
        model.events,
        model.threads.len(),
        model.stalls.len(),
        model.convoys.len()
    );
    match words[1].ends_with(".svg") {
        true => std::fs::write(&words[1], picture(&model, &options))?,
        false => std::fs::write(&words[1], picture_png(&model, &options, 1.0)?)?,
    }
    Ok(())
}
