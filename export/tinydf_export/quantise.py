"""Export job -> its graph in 8 bit, in the Q/DQ scheme of an engine."""

from __future__ import annotations

from onnx import ModelProto

from tinydf_calibration.quantize import quantize_model
from tinydf_calibration.schemes import QDQ_SCHEMES
from tinydf_export.job import ExportJob


def insert_pairs(job: ExportJob, scheme: str) -> ModelProto:
    """Returns the job's graph with QuantizeLinear/DequantizeLinear pairs around what runs in 8 bit.

    Args:
        job: Of precision "int8".
        scheme: Key of ``QDQ_SCHEMES``: where an engine expects the pairs.
    """
    assert job.table is not None
    return quantize_model(job.graph, job.table, QDQ_SCHEMES[scheme])
