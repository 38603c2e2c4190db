"""Export job -> its graph in 8 bit, with the Q/DQ scheme of a family of engines."""

from __future__ import annotations

from onnx import ModelProto

from tinydf_calibration.dialects import DIALECTS
from tinydf_calibration.quantize import quantize_model
from tinydf_export.job import ExportJob


def insert_pairs(job: ExportJob, scheme: str) -> ModelProto:
    """Returns the job's graph with QuantizeLinear/DequantizeLinear pairs around what runs in 8 bit.

    Args:
        job: Of precision "int8".
        scheme: Key of ``DIALECTS``: where a family of engines expects the pairs.
    """
    assert job.table is not None
    return quantize_model(job.graph, job.table, DIALECTS[scheme])
