"""InsightFace's `train.rec` with the files around it, in MXNet's RecordIO framing."""
