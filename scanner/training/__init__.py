"""Everything that makes a model: forgeries, data, training, measuring, calibration, export.

sources ──scan──▶ boxes, landmarks ──forge──▶ pairs ──encode──▶ pack ──train──▶ checkpoint ──calibrate──▶ export
                                                                                     └──evaluate──▶ figures
"""
