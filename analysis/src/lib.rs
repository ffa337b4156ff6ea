//! What GIL events mean: thread states, stalls, convoys, blame, verdict.
