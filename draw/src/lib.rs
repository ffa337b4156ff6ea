//! The draw list of the timelines, and its SVG writer.
