"""The parameters of a layer and its optimizer, and a program for inference."""

import paddle

layer = paddle.nn.Linear(8, 8)
optimizer = paddle.optimizer.Adam(parameters=layer.parameters())
paddle.save(layer.state_dict(), "net.pdparams")
paddle.save(optimizer.state_dict(), "net.pdopt")
spec = [paddle.static.InputSpec([None, 8], "float32")]
paddle.jit.save(paddle.jit.to_static(layer, input_spec=spec), "inference/net")
