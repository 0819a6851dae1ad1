"""A training with checkpoints, evaluation, monitor and logger; its replay buffer."""

import gymnasium
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

model = PPO("MlpPolicy", Monitor(gymnasium.make("CartPole-v1"), "./watched"), n_steps=16,
            batch_size=8, tensorboard_log="./ppo_tb")  # fmt: skip
evaluated = EvalCallback(Monitor(gymnasium.make("CartPole-v1")), eval_freq=16, n_eval_episodes=1,
                         best_model_save_path="./best", log_path="./results")  # fmt: skip
model.learn(32, callback=[CheckpointCallback(16, "./steps"), evaluated])
model.save("ppo_cartpole")
environment = VecNormalize(VecMonitor(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]), "vec"))
agent = DQN("MlpPolicy", environment, learning_starts=1, buffer_size=1000)
agent.set_logger(configure("./sb3_log", ["csv", "json", "log", "tensorboard"]))
agent.learn(32)
agent.save_replay_buffer("buffer")
agent.save("dqn")
environment.save("normalize.pkl")
