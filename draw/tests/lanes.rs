//! From drawn timelines to rectangles.

#[allow(clippy::allow_attributes, dead_code, reason = "shared with other tests")]
#[path = "common/workload.rs"]
mod workload;

use gilscope_analysis::{Convoy, Engine, Model, drawn::Drawing};
use gilscope_draw::{
    Cache, Clock, DrawList, Emphasis, Look, Palette, PictureOptions, Rgba, RowOptions, Rows, Scene, Sort,
    Theme, TraceIndex, View, picture, rows,
};
use gilscope_trace::{Next, Reader};

const MS: i64 = 1_000_000;

/// The rows of `model` between two times, on a picture `width` points wide.
fn draw(model: &Model, from: i64, until: i64, width: f32) -> (DrawList, Rows) {
    let index = TraceIndex::of(model);
    let options = RowOptions { sort: Sort::Appearance, hide_idle: false, ..RowOptions::default() };
    let rows_of = Rows::of(model, &index, &options);
    let palette = Palette::of(Theme::Dark);
    let scene = Scene {
        model,
        index: &index,
        palette: &palette,
        rows: &rows_of,
        view: View::new(model.start + from, model.start + until),
        width,
        height: 400.0,
        scroll: 0.0,
        clock: Clock::Relative { origin: model.start },
    };
    (rows(&scene, &mut Cache::default(), Emphasis::default()), rows_of)
}

/// The bars of a colour in the lane of a thread: left and right edges, rounded.
fn bars(list: &DrawList, rows: &Rows, thread: u32, color: Rgba) -> Vec<(i32, i32)> {
    let row = rows.of_thread(thread).unwrap();
    list.layers[0]
        .rects
        .iter()
        .filter(|rect| rect.color == color && rect.y >= row.y - 0.1 && rect.bottom() <= row.y + row.h + 0.1)
        .map(|rect| (rect.x.round() as i32, rect.right().round() as i32))
        .collect()
}

fn look(look: Look) -> Rgba {
    Palette::of(Theme::Dark).look(look)
}

fn model_of(bytes: &[u8]) -> Model {
    let mut reader = Reader::new(std::io::Cursor::new(bytes)).unwrap();
    let mut engine = Engine::new(reader.header());
    while let Next::Batch(batch) = reader.next_batch().unwrap() {
        engine.push(&batch);
    }
    engine.finish()
}

#[test]
fn an_interval_wider_than_a_point_has_its_exact_edges() {
    //  io    hhs.wwwwwhh      h hold, s system call, . off the GIL, w wait; a character is a millisecond, and 10 points
    //  cpu   ..hhhhhhhww
    let model = Drawing::new("io    hhs.wwwwwhh\ncpu   ..hhhhhhhww").model();
    let (list, rows) = draw(&model, 0, 11 * MS, 110.0);
    assert_eq!(bars(&list, &rows, 0, look(Look::Socket)), [(20, 30)]);
    assert_eq!(bars(&list, &rows, 0, look(Look::Holding))[0], (0, 20));
    let waits =
        [bars(&list, &rows, 0, look(Look::Waiting)), bars(&list, &rows, 0, look(Look::Stalled))].concat();
    assert_eq!(waits, [(40, 90)]);
    assert_eq!(bars(&list, &rows, 1, look(Look::Holding)), [(20, 90)]);
}

#[test]
fn a_wait_among_a_thousand_holds_is_seen_however_far_out() {
    //  a   h.h.h.h.h.h.wh.h.h.h.…      one wait of a millisecond in a second
    let calm = "h.".repeat(250);
    let text = format!("a   {calm}wh{calm}\nb   {}h.{}", "..".repeat(250), "..".repeat(250));
    let model = Drawing::new(&text).model();
    for width in [1000.0, 100.0, 20.0] {
        let (list, rows) = draw(&model, 0, 1002 * MS, width);
        let color = look(Look::Waiting);
        let found = bars(&list, &rows, 0, color);
        assert_eq!(found.len(), 1, "{found:?} at {width} points");
        let middle = width as i32 / 2;
        assert!(found[0].0 - 5 <= middle && middle <= found[0].1 + 5, "{found:?} at {width} points");
    }
}

#[test]
fn merged_intervals_are_lower_and_fainter_than_single_ones() {
    let model = Drawing::new(&format!("a   {}\nb   {}", "h.".repeat(500), "..".repeat(500))).model();
    let holding = look(Look::Holding);
    let (near, rows) = draw(&model, 0, 10 * MS, 100.0);
    assert_eq!(bars(&near, &rows, 0, holding).len(), 5);
    let (far, rows) = draw(&model, 0, 1000 * MS, 100.0);
    assert_eq!(bars(&far, &rows, 0, holding), []);
    let lane = rows.of_thread(0).unwrap();
    let tallest = far.layers[0]
        .rects
        .iter()
        .filter(|rect| rect.y > lane.y && rect.bottom() < lane.y + lane.h)
        .map(|rect| rect.h)
        .fold(0.0, f32::max);
    assert!(tallest < lane.h * 0.9, "{tallest} of {}", lane.h);
}

#[test]
fn panning_by_whole_buckets_moves_the_picture_and_changes_nothing_else() {
    let model = model_of(&workload::convoy(1_000 * MS));
    let index = TraceIndex::of(&model);
    let view = View::new(model.start + 300 * MS, model.start + 500 * MS);
    let bucket = view.bucket(400.0);
    let edges = |view: View| {
        let by = (view.from - model.start - 300 * MS) as f32 / view.nanos_per_point(400.0) as f32;
        let (list, rows) = draw(&model, view.from - model.start, view.until - model.start, 400.0);
        let lane = rows.of_thread(0).unwrap();
        let mut edges: Vec<i32> = list.layers[0]
            .rects
            .iter()
            .filter(|rect| rect.y >= lane.y && rect.bottom() <= lane.y + lane.h && rect.w < 300.0)
            .filter(|rect| rect.x + by > 60.0 && rect.right() + by < 340.0)
            .map(|rect| ((rect.x + by) * 4.0).round() as i32)
            .collect();
        edges.sort_unstable();
        edges
    };
    let _ = index;
    assert_eq!(edges(view), edges(view.moved(bucket.nanos() * 7)));
}

#[test]
fn lost_records_are_striped_at_every_zoom() {
    //  a   hhhhhhhhhhhhhhhhhhhh
    //  lost:0    !!
    let model = Drawing::new("a      h.h.h.h.h.h.h.h.h.h.\nlost:0       !!").model();
    assert!(!model.lost.is_empty());
    for width in [2000.0, 200.0, 20.0] {
        let (list, _) = draw(&model, 0, 20 * MS, width);
        let hatches: Vec<_> = list.layers.iter().flat_map(|layer| &layer.hatches).collect();
        assert!(!hatches.is_empty(), "at {width} points");
        assert!(hatches.iter().all(|hatch| hatch.w >= 2.0), "{hatches:?}");
    }
}

#[test]
fn a_convoy_is_a_band_from_victim_to_culprit() {
    //  io    hswwwww            repeated: three such stalls are a convoy
    //  cpu   .hhhhhh
    let model = Drawing::new("io    hswwwww\ncpu   .hhhhhh").repeated(12).model();
    assert_eq!(model.convoys.len(), 1, "{:?}", model.convoys);
    let (list, rows) = draw(&model, 0, 84 * MS, 840.0);
    let color = Palette::of(Theme::Dark).convoy;
    let (victim, culprit) = (rows.of_thread(0).unwrap(), rows.of_thread(1).unwrap());
    let band = list.layers.iter().flat_map(|layer| &layer.rects).find(|rect| {
        rect.color.0[..3] == color.0[..3]
            && rect.y < victim.y + 1.0
            && rect.bottom() > culprit.y + culprit.h - 1.0
    });
    assert!(band.is_some_and(|band| band.w > 1.0));
    let arrows: Vec<_> = list
        .layers
        .iter()
        .flat_map(|layer| &layer.lines)
        .filter(|line| line.arrow && line.color == color)
        .collect();
    assert!(!arrows.is_empty(), "from the culprit to the victim");
    assert!(arrows.iter().all(|arrow| arrow.from[1] > culprit.y && arrow.to[1] < victim.y + victim.h));
}

#[test]
fn convoys_on_each_other_do_not_hide_the_lanes() {
    //  a, b, c   hswwwww     each a victim of the same culprit at the same time
    //  cpu       .hhhhhh
    let mut model = Drawing::new("io    hswwwww\ncpu   .hhhhhh").repeated(12).model();
    let one = model.convoys[0].clone();
    model.convoys.extend((0..50).map(|_| one.clone()));
    let (list, rows) = draw(&model, 0, 84 * MS, 840.0);
    let color = Palette::of(Theme::Dark).convoy;
    let culprit = rows.of_thread(1).unwrap();
    let tints = list.layers.iter().flat_map(|layer| &layer.rects).filter(|rect| {
        rect.color.0[..3] == color.0[..3]
            && rect.w > 40.0
            && rect.y < culprit.y + 5.0
            && rect.bottom() > culprit.y + 5.0
    });
    assert_eq!(tints.count(), 1);
}

#[test]
fn a_hundred_thousand_convoys_are_a_few_hundred_bands() {
    let mut model = Drawing::new("io    hswwwww\ncpu   .hhhhhh").repeated(12).model();
    let one = model.convoys[0].clone();
    let step = (one.end - one.start) / 100_000;
    model.convoys = (0..100_000)
        .map(|place| Convoy {
            start: one.start + place * step,
            end: one.start + (place + 1) * step,
            ..one.clone()
        })
        .collect();
    let (list, _) = draw(&model, 0, 84 * MS, 840.0);
    assert!(list.len() < 10_000, "{}", list.len());
}

#[test]
fn a_selected_interval_is_framed_and_a_selected_stall_tells_its_story() {
    //  io    hswwwww            the selected stall
    //  cpu   .hhhhhh            who held meanwhile
    let model = Drawing::new("io    hswwwww\ncpu   .hhhhhh").repeated(3).model();
    let index = TraceIndex::of(&model);
    let rows_of = Rows::of(&model, &index, &RowOptions::default());
    let palette = Palette::of(Theme::Dark);
    let scene = Scene {
        model: &model,
        index: &index,
        palette: &palette,
        rows: &rows_of,
        view: View::new(model.start, model.start + 21 * MS),
        width: 840.0,
        height: 400.0,
        scroll: 0.0,
        clock: Clock::Relative { origin: model.start },
    };
    let framed = |emphasis| {
        let list = rows(&scene, &mut Cache::default(), emphasis);
        let frames = list.layers.iter().flat_map(|layer| &layer.rects);
        let count = frames.filter(|rect| rect.color == palette.selection).count();
        let texts: Vec<String> =
            list.layers.iter().flat_map(|layer| &layer.labels).map(|label| label.text.clone()).collect();
        (count, texts.join("\n"))
    };
    assert_eq!(framed(Emphasis::default()).0, 0);
    let interval = Some((1, model.start + MS, model.start + 7 * MS));
    assert_eq!(framed(Emphasis { interval, ..Emphasis::default() }).0, 4);
    let (count, texts) = framed(Emphasis { stall: Some(0), ..Emphasis::default() });
    assert!(count >= 8, "the stall and the hold");
    assert!(texts.contains("then waited 5.00 ms for cpu"), "{texts}");
}

#[test]
fn a_caption_is_shortened_by_what_matters_least_and_never_cut() {
    //  io    hswwwww            five of seven parts of the picture are the wait
    //  cpu   .hhhhhh
    let model = Drawing::new("io    hswwwww\ncpu   .hhhhhh").repeated(2).model();
    let captions = |width| {
        let (list, _) = draw(&model, 0, 6_900_000, width);
        let labels = list.layers.iter().flat_map(|layer| &layer.labels);
        labels.map(|label| label.text.clone()).filter(|text| text.contains("5.00 ms")).collect::<Vec<_>>()
    };
    assert_eq!(captions(700.0), ["waits 5.00 ms for cpu"]);
    assert_eq!(captions(126.0), ["waits 5.00 ms"]);
    assert_eq!(captions(84.0), ["5.00 ms"]);
    assert!(captions(56.0).is_empty());
}

#[test]
fn where_no_thread_used_a_gil_all_are_shown() {
    let model = Drawing::new("io    ssssss").model();
    let index = TraceIndex::of(&model);
    assert!(model.threads.iter().all(|thread| !thread.uses_gil));
    assert_eq!(Rows::of(&model, &index, &RowOptions::default()).threads().count(), 1);
}

#[test]
fn a_row_is_found_by_height_and_filtered_by_name() {
    let model = model_of(&workload::crowd(40, 200 * MS));
    let index = TraceIndex::of(&model);
    let all = Rows::of(&model, &index, &RowOptions::default());
    for row in &all.rows {
        assert_eq!(all.at(row.y + row.h / 2.0).map(|found| found.kind), Some(row.kind));
    }
    let few = Rows::of(&model, &index, &RowOptions { filter: "Worker-1".into(), ..RowOptions::default() });
    assert!(few.threads().count() > 1);
    assert!(few.threads().all(|thread| model.threads[thread as usize].name().contains("worker-1")));
    assert_eq!(few.threads().count() + few.hidden, model.threads.len());
}

#[test]
fn the_picture_of_a_convoy_stays_as_it_is() {
    let model = Drawing::new("io    hswwwww\ncpu   .hhhhhh").repeated(4).model();
    let options =
        PictureOptions { width: 640.0, title: Some("a convoy".into()), ..PictureOptions::default() };
    insta::assert_snapshot!(picture(&model, &options));
}

#[test]
fn a_picture_of_anything_can_be_drawn() {
    let models = [
        Model::default(),
        Drawing::new("a h").model(),
        model_of(&workload::alone(MS)),
        model_of(&workload::crowd(120, 50 * MS)),
    ];
    for model in &models {
        for (from, until) in
            [(None, None), (Some(0), Some(1)), (Some(i64::MIN), Some(i64::MAX)), (Some(-5), Some(-9))]
        {
            for width in [10.0, 1280.0] {
                let options = PictureOptions { from, until, width, ..PictureOptions::default() };
                let page = picture(model, &options);
                assert!(page.starts_with("<svg") && page.ends_with("</svg>\n"));
                assert!(!page.contains("NaN") && !page.contains("inf"));
            }
        }
    }
}

#[test]
fn names_of_threads_cannot_break_out_of_the_picture() {
    let model = Drawing::new("<script>alert(1)</script>    h.h.h.").model();
    let page = picture(&model, &PictureOptions::default());
    assert!(!page.contains("<script"));
}
