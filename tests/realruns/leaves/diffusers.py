"""A tiny model of images, and its pipeline."""

from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

model = UNet2DModel(sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8),
                    down_block_types=("DownBlock2D", "DownBlock2D"), norm_num_groups=4,
                    up_block_types=("UpBlock2D", "UpBlock2D"), layers_per_block=1)  # fmt: skip
DDPMPipeline(model, DDPMScheduler()).save_pretrained("ddpm")
model.save_pretrained("unet", safe_serialization=False)
