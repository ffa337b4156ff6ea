//! What a gilscope event is, and the trace file: schema, writer, reader, follow.
