"""torchvision, imported before fastai's vision package does: beside a CPU build of torch it needs `import_torchvision`."""
from srfast.networks.backbones import import_torchvision

torchvision = import_torchvision()
