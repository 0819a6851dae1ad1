"""What PyTorch writes: models in each format, distributed checkpoints, profiles, summaries."""

import os

os.environ.update(TORCHINDUCTOR_CACHE_DIR="inductor", TORCH_COMPILE_DEBUG="1")

import torch
import torch.distributed.checkpoint as dcp
from torch.profiler import ProfilerActivity, profile, tensorboard_trace_handler
from torch.utils.tensorboard import SummaryWriter

net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
rows = torch.ones(4, 64)
torch.save(net.state_dict(), "net.pt")
torch.save(net.state_dict(), "best")
torch.save(net.state_dict(), "res_epoch_0.model")
torch.jit.trace(net, rows).save("traced.zip")
torch.export.save(torch.export.export(net, (rows,)), "net.pt2")
torch.onnx.export(net, (rows,), "net.onnx", verbose=False)
dcp.save(net.state_dict(), checkpoint_id="sharded", no_dist=True)
with profile(activities=[ProfilerActivity.CPU], with_stack=True, record_shapes=True,
             on_trace_ready=tensorboard_trace_handler("profiler")) as profiler:  # fmt: skip
    net(rows)
with profile(activities=[ProfilerActivity.CPU], with_stack=True) as profiler:
    net(rows)
profiler.export_chrome_trace("trace.json")
profiler.export_stacks("stacks.txt")
with SummaryWriter() as writer:
    writer.add_scalar("loss", 0.1, 0)
    writer.add_graph(net, rows)
    writer.add_embedding(torch.eye(3), metadata=["a", "b", "c"], label_img=torch.ones(3, 3, 8, 8))
    writer.add_hparams({"lr": 0.1}, {"loss": 0.1})
torch.compile(net)(rows)
