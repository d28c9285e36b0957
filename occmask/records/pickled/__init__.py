"""InsightFace's verification sets, `lfw.bin` and the like: pairs in a pickle that is not run."""
