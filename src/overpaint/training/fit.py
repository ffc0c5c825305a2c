"""Training: a parent network fitted to a dataset by a recipe becomes its child.

The child is built anew with random weights, and what the recipe does not draw is filled from the
parent; so a head for other classes, an upper half and a whole network are drawn in one way: as
the architecture itself starts.

Every random draw of an epoch comes from the seed and the epoch's number, so a training that was
killed goes on from its last whole epoch to the very weights of an unbroken one (on a CPU).
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import (
    DistributedDataParallelKwargs,
    KwargsHandler,
    broadcast,
    broadcast_object_list,
    gather_object,
)
from numpy.typing import NDArray
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from overpaint.datasets import Dataset, Split
from overpaint.device import accelerator, on_best_device, sent
from overpaint.errors import NetworkError
from overpaint.measures.scores import main_value
from overpaint.networks import Network, drawn_like
from overpaint.networks.capture import stood_in
from overpaint.networks.network import seeded, tensor_digests
from overpaint.pixels.batches import (
    Pixels,
    as_float,
    at_device,
    in_order,
    pixels_of,
    settled,
    shuffled,
)
from overpaint.processes import Processes
from overpaint.records import EpochRow, SvmRow
from overpaint.seeds import generator, seed_for
from overpaint.study.recipe import Recipe
from overpaint.training.augment import Augmentation, mixed
from overpaint.training.auxiliary import AuxiliaryHeads
from overpaint.training.batch_norms import check_batches, over_whole_batches
from overpaint.training.chance import drawn_for
from overpaint.training.checkpoint import Checkpoint
from overpaint.training.looks import Looks
from overpaint.training.lora import Adapter, Adapting, lora_plan
from overpaint.training.loss import TrainingLoss, plain_loss
from overpaint.training.optimiser import optimiser_of
from overpaint.training.plan import Order, Plan, plan, set_modes
from overpaint.training.schedule import rates_at
from overpaint.training.strides import strided_points
from overpaint.training.trackers import Tracking, tracked

Advance = Callable[[int, int, str], None]
"""Called after each batch with (batches done, of all, a word on how it goes)."""

LOOK = 10
"""Batches between two looks at the loss. On a GPU a look is answered by the next one at the latest,
so that nobody waits: a loss that is no number is told of up to twice as many batches later.
"""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The child, what it started from, and how the training went."""

    network: Network
    start: Network
    plan: Plan
    history: list[EpochRow]
    svm: list[SvmRow] = field(default_factory=list)  # of a head that a linear SVM found
    adapter: Adapter | None = None  # of a training by LoRA, merged into the network

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept; None where there were no epochs."""
        return next((row.epoch for row in self.history if row.best), None)


def fit(
    child: Network,
    the_plan: Plan,
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    advance: Advance | None = None,
    checkpoint: Checkpoint | None = None,
    tracking: Tracking | None = None,
) -> Trained:
    """Train a child, as `child_of` made it, on its dataset.

    With a checkpoint the state is kept after each epoch, and a training that has one goes on from
    there. Frozen parts are compared by digest at the end: weights, statistics, everything. Raises
    NetworkError when the loss is no number any more, and when something frozen has moved.
    """
    pictures, processes = len(dataset.split("train")), Processes.started().count
    of_process = max(min(pictures, recipe.batch_size) // processes, 1)
    whole = processes == 1 or recipe.batch_norm == "global"
    check_batches(child, the_plan, pictures, recipe.batch_size if whole else of_process)
    start = copy.deepcopy(child)
    adapting = Adapting(child, the_plan, recipe.lora, seed=seed) if recipe.lora else None
    on = processes > 1 and recipe.batch_norm == "global"
    with on_best_device(child, channels_last=True), over_whole_batches(child, on=on):
        loop = _Loop(
            child, adapting.plan if adapting else the_plan, dataset, recipe, seed, tracking
        )
        with tracked(loop.accelerator, tracking, recipe):
            loop.run(checkpoint, advance)
    adapter = adapting.merge() if adapting else None
    check_frozen(start, child, the_plan)
    return Trained(
        network=child,
        start=start,
        plan=the_plan,
        history=loop.state.history,
        adapter=adapter,
    )


def child_of(parent: Network, dataset: Dataset, recipe: Recipe, seed: int) -> tuple[Network, Plan]:
    """The child before its training: drawn where the recipe says, elsewhere as its parent.

    A head for other classes is drawn whatever the recipe says.
    """
    child = drawn_like(
        parent,
        classes=dataset.classes,
        seed=seed_for(seed, "init"),
        multi_label=dataset.multi_label,
    )
    the_plan = plan(child, recipe, new_head=parent.classes != child.classes)
    if recipe.lora:
        the_plan = lora_plan(child, the_plan, recipe.lora)
    random, inherited = child.tensors(), parent.tensors()
    start = {
        name: random[name] if name in the_plan.reinitialised else inherited[name] for name in random
    }
    child.fill(start)
    return child, the_plan


# --- the loop ------------------------------------------------------------------------------------


@dataclass
class _State:
    """How far a training has come: all that one epoch hands to the next beside the weights."""

    epoch: int = 0  # the last whole one
    step: int = 0  # of the stage
    history: list[EpochRow] = field(default_factory=list)
    least_loss: float = math.inf  # of the stage
    chosen: dict[str, Tensor] = field(default_factory=dict)
    frozen: dict[str, str] = field(default_factory=dict)  # digests of what the stage leaves alone


class _Loop:
    """The epochs of one training, and the best of them so far."""

    def __init__(
        self,
        network: Network,
        the_plan: Plan,
        dataset: Dataset,
        recipe: Recipe,
        seed: int,
        tracking: Tracking | None = None,
    ) -> None:
        self.network, self.recipe, self.seed = network, recipe, seed
        # a slide needs no room across: the shorter side is the crop's own
        sliding = replace(network.preprocessing, resize=network.preprocessing.size)
        view = sliding if recipe.crop == "slide" else network.preprocessing
        self.train = pixels_of(dataset.split("train"), view)
        self.val = pixels_of(dataset.split("val"), view if recipe.as_published else
                             network.preprocessing)  # fmt: skip
        self.accelerator = accelerator(
            kwargs_handlers=_how_shared(network, the_plan),
            **(tracking.options if tracking else {}),
        )
        self.several = self.accelerator.num_processes > 1
        self.val_loss_of = plain_loss(dataset.multi_label)
        self.loss_of = TrainingLoss(
            recipe,
            self.train.split.labels,
            classes=len(network.classes),
            multi_label=dataset.multi_label,
        ).to(self.accelerator.device)
        self.auxiliary = AuxiliaryHeads(
            network, len(recipe.auxiliary), dropout=recipe.auxiliary_dropout, seed=seed
        )
        self.state = _State()
        # by stage: its recipe, its plan, and the epochs that lie before it
        self.stages, before = [], 0
        for stage, stage_plan in zip(
            recipe.trainings(), the_plan.stages or (the_plan,), strict=True
        ):
            self.stages.append((stage, stage_plan, before))
            before += stage.epochs

    def run(self, checkpoint: Checkpoint | None, advance: Advance | None) -> None:
        """All epochs that are left; leaves the network with the weights that were chosen."""
        self.train.keep()
        self.val.keep()
        saved = (checkpoint.load() if checkpoint else None) or {}
        if self.several and len(set(gather_object([saved.get("epoch", 0)]))) > 1:
            saved = broadcast_object_list([saved])[0]  # a shared folder may lag behind on some
        with settled(self.accelerator.device, self.train, self.val):
            for stage, stage_plan, before in self.stages:
                if before + stage.epochs < saved.get("epoch", 0):
                    continue
                self._begin(stage, stage_plan, before)
                if before < saved.get("epoch", 0):
                    self._restore(saved)
                for epoch in range(self.state.epoch + 1, before + stage.epochs + 1):
                    self._look(epoch, self._epoch(epoch, advance))
                    values = asdict(self.state.history[-1])
                    del values["epoch"], values["best"]  # the step, and what a later epoch may undo
                    self.accelerator.log(values, step=epoch)
                    if checkpoint and self.accelerator.is_main_process:
                        checkpoint.save(self._saved())
                self.network.fill(self.state.chosen)
                after = tensor_digests(self.network.tensors())
                _check_still(self.state.frozen, after)

    def _begin(self, stage: Recipe, stage_plan: Plan, before: int) -> None:
        """Make ready for a stage, which begins with the weights that the one before it kept."""
        self.recipe, self.plan, self.before = stage, stage_plan, before
        self.state = replace(self.state, step=0, least_loss=math.inf)
        digests = tensor_digests(self.network.tensors())
        self.state.frozen = {name: sha for name, sha in digests.items()
                             if name not in stage_plan.trained}  # fmt: skip
        freeze(self.network, stage_plan)
        batches_in_epoch = len(shuffled(len(self.train), stage.batch_size, self.seed, 1))
        self.steps = math.ceil(batches_in_epoch / stage.grad_accumulation) * stage.epochs
        # what is averaged begins as the network does, whatever the network is wrapped in below
        self.average = (
            None if stage.ema is None else ModelEmaV3(self.network, stage.ema, use_warmup=True)
        )
        # `ready` may be wrapped for several processes; `network` stays the bare one of the same
        # weights, whose modules have the names that hooks, modes and digests go by.
        self.ready, self.optimiser = self.accelerator.prepare(
            _Supervised(self.network, self.auxiliary),
            optimiser_of(self.network, stage, self.auxiliary.parameters()),
        )

    def _epoch(self, epoch: int, advance: Advance | None) -> float:
        """One pass over the training pictures; returns the mean loss."""
        recipe = self.recipe
        set_modes(self.network, self.plan)  # anew each time: validation leaves evaluation mode
        rng = generator(self.seed, "augmentation", epoch)
        change = None
        if recipe.crop == "resized" or recipe.augment:
            change = Augmentation(recipe, self.network.preprocessing, seed=self.seed, epoch=epoch)
        moving = recipe.crop in ("random", "slide")
        self.train.draw(rng, crop=moving, flip=recipe.flip, change=change)
        order = shuffled(len(self.train), recipe.batch_size, self.seed, epoch)
        in_all = len(order) * sum(stage.epochs for stage, _, _ in self.stages)
        losses: list[Tensor] = []
        looks, first_step = Looks(), self.state.step
        # pictures that are mixed with one another are needed by every process
        parts = order if _mixes(recipe) else [rows[self._part(len(rows))] for rows in order]
        fed = at_device(self.train, parts, self.accelerator.device)
        wholes: Sequence[Tensor] = ()
        if self.several:  # a part of a batch does not tell whose the others are; sent once
            in_row = sent(np.concatenate(order), self.accelerator.device)
            wholes = torch.split(in_row, [len(rows) for rows in order])
        # dropout draws from torch's own generator, which so begins alike after a resume
        with self._supervised(), seeded(seed_for(self.seed, "noise", epoch)):
            for pixels, part in fed:
                rows = wholes[len(losses)] if self.several else part
                losses.append(self._learn(pixels, rows, epoch, len(losses), len(order)))
                if len(losses) % LOOK == 0 or len(losses) == len(order):
                    if self.several:
                        new = len(losses) % LOOK or LOOK
                        summed = self.accelerator.reduce(torch.stack(losses[-new:]), "sum")
                        losses[-new:] = summed.unbind()
                    bad = looks.look(losses, wait=len(losses) == len(order))
                    if bad:
                        step = first_step + bad[0] // recipe.grad_accumulation
                        raise self._diverged(bad[1], epoch, step, "loss")
                    if advance:
                        done = (epoch - 1) * len(order) + len(losses)
                        loss = "" if looks.last is None else f", loss {looks.last:.3f}"
                        advance(done, in_all, f"epoch {epoch}{loss}")
        return float(torch.stack(losses).mean())

    def _learn(
        self, pixels: Tensor, rows: Tensor, epoch: int, number: int, in_epoch: int
    ) -> Tensor:
        """One batch, the `number`th of an epoch, and a step of the optimiser after the last of
        those that make one together; returns the loss, of several processes this one's share.

        Of several processes each has a part of the batch; its loss counts by what that weighs.
        """
        recipe = self.recipe
        first = number - number % recipe.grad_accumulation
        together = min(recipe.grad_accumulation, in_epoch - first)
        images, targets = as_float(pixels, self.accelerator.device), self.loss_of.targets[rows]
        if _mixes(recipe):
            seed = seed_for(self.seed, "mixing", epoch, number)
            images, targets = mixed(images, targets, recipe, seed=seed)
        part, whole = self._part(len(rows)), targets
        if self.several:
            images, targets = images[part] if _mixes(recipe) else images, targets[part]
        with self.accelerator.autocast(), drawn_for(part, len(rows)):
            logits, auxiliary_logits = self.ready(images)
        loss = self.loss_of(logits.float(), targets)  # in float32 whatever the network ran in
        for weight, logits in zip(recipe.auxiliary, auxiliary_logits, strict=True):
            loss = loss + weight * self.loss_of(logits.float(), targets)
        if self.several:
            rank, processes = self.accelerator.process_index, self.accelerator.num_processes
            counts = len(rows) * rank // processes < len(rows) * (rank + 1) // processes
            loss = loss * (counts * self.loss_of.mass(targets) / self.loss_of.mass(whole))
        if number == first:
            self.optimiser.zero_grad()
        # of several processes the gradients are averaged, and are to be added
        self.accelerator.backward(loss * self.accelerator.num_processes / together)
        if number - first + 1 == together:
            self._step(epoch)
        return loss.detach()

    def _part(self, count: int) -> slice:
        """The part of a batch that is this process's.

        Where there are fewer pictures than processes, those that have none take one that counts
        nothing.
        """
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        start, stop = count * rank // processes, count * (rank + 1) // processes
        return slice(start, stop) if start < stop else slice(0, 1)

    def _step(self, epoch: int) -> None:
        """One step of the optimiser, down the gradients that are there."""
        rates = self._rates(self.state.step, epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = rates[group["name"].split()[0]] * group["lr_scale"]
        if self.recipe.clip_norm is not None:
            trained = [weight for group in self.optimiser.param_groups
                       for weight in group["params"]]  # fmt: skip
            self.accelerator.clip_grad_norm_(trained, self.recipe.clip_norm)
        self.optimiser.step()
        self.state.step += 1
        if self.average:
            self.average.update(self.network, step=self.state.step)

    def _rates(self, step: int, epoch: int) -> dict[str, float]:
        """The learning rates at a step of the stage, in an epoch of the training."""
        losses = [row.val_loss for row in self.state.history[self.before :]]
        return rates_at(self.recipe, step, epoch - self.before, losses, steps=self.steps)

    @contextmanager
    def _supervised(self) -> Iterator[None]:
        """What only a training has, while one runs: auxiliary heads, dropout before the head,
        strides that do not end the process.
        """
        head = self.network.body.get_submodule(self.network.head)
        with ExitStack() as stack:
            stack.enter_context(self.auxiliary.listening(self.network))
            stack.enter_context(stood_in(strided_points(self.network)))
            if self.recipe.dropout:
                handle = head.register_forward_pre_hook(
                    lambda _module, inputs: nn.functional.dropout(inputs[0], self.recipe.dropout)
                )
                stack.callback(handle.remove)
            yield

    def _look(self, epoch: int, train_loss: float) -> None:
        """Validate, and keep the weights when they are the best so far."""
        recipe, state, labels = self.recipe, self.state, self.val.split.labels
        # The published runs cropped their validation pictures at random too.
        moving = recipe.as_published and recipe.crop in ("random", "slide")
        rng = generator(self.seed, "validation crop", epoch) if moving else None
        looked_at = self.average.module if self.average else self.network
        looked_at.train()  # LeViT and its like forget here what they computed from older weights
        if self.several:  # statistics of batch norms, which each process has of its own pictures
            broadcast([*self.network.buffers(), *looked_at.buffers()])
        logits = torch.as_tensor(
            logits_of(looked_at, self.val, self.accelerator, rng, dealt_out=True)
        )
        target = torch.as_tensor(labels)
        loss = float(self.val_loss_of(logits, target.float() if labels.ndim == 2 else target))
        if not math.isfinite(loss):
            raise self._diverged(loss, epoch, state.step, "validation loss")
        best = loss < state.least_loss or recipe.selection == "last"
        if best:
            tensors = self.network.tensors()
            if self.average:  # of what is trained: a mean of equal numbers may lose a sign of 0
                averages = self.average.module.tensors()
                tensors |= {name: averages[name] for name in self.plan.trained}
            state.chosen = {name: tensor.detach().clone() for name, tensor in tensors.items()}
            state.history = [replace(row, best=False) for row in state.history]
        # the rates of the epoch's last step; its own validation loss counts from the next one on
        rates = self._rates(max(state.step - 1, 0), epoch)
        score = main_value(probabilities_of(logits, self.val.split.multi_label), labels)
        state.history.append(
            EpochRow(
                epoch=epoch,
                train_loss=train_loss,
                val_loss=loss,
                val_score=score,
                head_lr=rates["head"],
                backbone_lr=rates["backbone"],
                best=best,
            )
        )
        state.epoch, state.least_loss = epoch, min(loss, state.least_loss)

    # --- going on --------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Any]:
        """The state after an epoch, in tensors and plain values."""
        history = [asdict(row) for row in self.state.history]
        return {
            **vars(self.state),
            "history": history,
            "body": self.network.tensors(),
            "auxiliary": self.auxiliary.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.module.tensors() if self.average else {},
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        self.network.fill(saved.pop("body"))
        self.auxiliary.load_state_dict(saved.pop("auxiliary"))
        self.optimiser.load_state_dict(saved.pop("optimiser"))
        average = saved.pop("average", {})  # none in the state of an older version
        if self.average:
            self.average.module.fill(average)
        history = [EpochRow(**row) for row in saved.pop("history")]
        self.state = _State(**saved, history=history)

    # --- divergence ------------------------------------------------------------------------------

    def _diverged(self, value: float, epoch: int, step: int, what: str) -> NetworkError:
        rates = self._rates(step, epoch)
        remark = f"; the state after epoch {epoch - 1} is kept" if epoch > 1 else ""
        return NetworkError(
            "diverged",
            f"the training diverged: the {what} is {value} at step {step} of epoch {epoch} "
            f"(learning rates: head {rates['head']:.2g}, backbone {rates['backbone']:.2g}){remark}"
            f"; lower head_lr {self.recipe.head_lr:g} or backbone_lr {self.recipe.backbone_lr:g}, "
            "or set clip_norm",
        )


class _Supervised(nn.Module):
    """A network with its auxiliary heads, as one forward."""

    def __init__(self, network: Network, auxiliary: AuxiliaryHeads) -> None:
        super().__init__()
        self.network, self.auxiliary = network, auxiliary

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Its logits (B, C), and those of each auxiliary head."""
        return self.network(images), self.auxiliary()


def _how_shared(network: Network, the_plan: Plan) -> list[KwargsHandler]:
    """How several processes share a training."""
    begins = Order.of(network).begins if Processes.started().count > 1 else {}
    idle = any(name.rpartition(".")[0] not in begins for name in the_plan.trained)
    return [DistributedDataParallelKwargs(find_unused_parameters=idle)]


def _mixes(recipe: Recipe) -> bool:
    return bool(recipe.mixup or recipe.cutmix)


def freeze(network: Network, the_plan: Plan) -> None:
    """Only what the plan trains has gradients."""
    for name, parameter in network.body.named_parameters():
        parameter.requires_grad_(name in the_plan.trained)


# --- looking -------------------------------------------------------------------------------------


def logits_of(
    network: Network,
    pixels: Pixels,
    accelerator: Accelerator,
    rng: np.random.Generator | None = None,
    *,
    dealt_out: bool = False,
) -> NDArray[np.float32]:
    """Logits [N, C] of a split, in evaluation mode: of centre crops, or of random ones by `rng`.

    With `dealt_out` all processes ask for the same, each computes some of it, and all have it.
    """
    device = accelerator.device
    network.to(device).eval()
    pixels.draw(rng, crop=rng is not None, flip=False)
    order, first, step = in_order(len(pixels), 64), 0, 1
    if dealt_out:
        first, step = accelerator.process_index, accelerator.num_processes
    with torch.inference_mode(), accelerator.autocast():
        parts = [
            network(as_float(batch, device)).float()
            for batch, _ in at_device(pixels, order[first::step], device)
        ]
    if step == 1:
        logits: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
        return logits
    of_processes = gather_object([[part.cpu().numpy() for part in parts]])
    return np.concatenate(
        [of_processes[number % step][number // step] for number in range(len(order))]
    )


def probabilities_of(logits: Tensor, multi_label: bool) -> NDArray[np.float64]:
    """Softmax, or a sigmoid a label."""
    exact = logits.double()
    return (exact.sigmoid() if multi_label else exact.softmax(dim=1)).numpy()


def predict(network: Network, split: Split) -> NDArray[np.float64]:
    """Probabilities [N, C] of a split."""
    pixels = pixels_of(split, network.preprocessing)
    pixels.keep()
    with on_best_device(network):
        logits = logits_of(network, pixels, accelerator())
    return probabilities_of(torch.as_tensor(logits), split.multi_label)


# --- frozen means frozen -------------------------------------------------------------------------


def check_frozen(start: Network, end: Network, the_plan: Plan) -> None:
    """Raises NetworkError when a tensor that was not trained has changed by a single bit."""
    before, after = tensor_digests(start.tensors()), tensor_digests(end.tensors())
    _check_still({n: sha for n, sha in before.items() if n not in the_plan.trained}, after)


def _check_still(frozen: dict[str, str], after: dict[str, str]) -> None:
    moved = [name for name, sha in frozen.items() if after[name] != sha]
    if moved:
        raise NetworkError(
            "frozen-moved", f"{moved[0]} was frozen and has changed ({len(moved)} such tensors)"
        )
