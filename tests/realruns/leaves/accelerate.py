"""The state of a training, once in numbered folders, once in one of its own."""

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration

project = ProjectConfiguration("project", automatic_checkpoint_naming=True)
accelerator = Accelerator(cpu=True, project_config=project)
net = torch.nn.Linear(2, 1)
optimizers = [torch.optim.Adam(net.parameters()), torch.optim.SGD(net.parameters())]
scheduler = torch.optim.lr_scheduler.StepLR(optimizers[0], 1)
data = torch.utils.data.DataLoader(torch.ones(4, 2))
prepared = accelerator.prepare(net, *optimizers, scheduler, data)
for _ in range(2):
    accelerator.save_state()
accelerator = Accelerator(cpu=True)
accelerator.prepare(net, *optimizers, scheduler, data)
accelerator.save_state("state")
accelerator.save_model(net, "model")
