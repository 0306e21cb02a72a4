"""How good a model is, measured on labelled files that the production code cuts; no torch, any ONNX model.

    files + labels ──crops──▶ clips ──onnx_scorer──▶ logits ──files──▶ a score a file ──metrics──▶ report

`scanner evaluate` is the way in. Controls take away what a score claims to use; robustness makes its input suffer.
"""
