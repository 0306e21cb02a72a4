"""Scanner: a calibrated, explainable verdict for every face in every stream."""
