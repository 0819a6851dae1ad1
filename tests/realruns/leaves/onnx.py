"""A model in one file, and one with its weights in another."""

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, [100, 100])
result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [100, 100])
weights = numpy_helper.from_array(numpy.ones((100, 100), numpy.float32), "w")
node = helper.make_node("MatMul", ["x", "w"], ["y"])
model = helper.make_model(helper.make_graph([node], "g", [shape], [result], [weights]))
onnx.save(model, "net.onnx")
onnx.save(model, "large.onnx", save_as_external_data=True, location="large.onnx.data")
onnx.save(model, "other.onnx", save_as_external_data=True, location="other_weights.bin")
onnx.save(model, "apart.onnx", save_as_external_data=True, all_tensors_to_one_file=False)
