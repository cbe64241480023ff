using Compress.Core.Progress;
using Compress.Distill.Training;
using Compress.Formats;

namespace Compress.Distill.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class TrainerTests : IDisposable
{
    static readonly OptimizationRecipe Options = new()
    {
        Steps = 20,
        BatchSize = 6,
        MicroBatchSize = 3,
        WarmupSteps = 3,
        LearningRate = 0.05,
        CheckpointEvery = 4,
    };

    readonly string folder = Directory.CreateTempSubdirectory("compress-trainer-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(TorchSharp.torch.ScalarType.Float32)]
    [InlineData(TorchSharp.torch.ScalarType.BFloat16)]
    public void A_killed_run_continues_with_bit_identical_losses_and_weights(TorchSharp.torch.ScalarType type)
    {
        var straight = Train("straight", type, 20);

        // The kill: ten steps are done, but only the checkpoint of step 8 is on disk, and a write was under way.
        var killed = Path.Combine(folder, "killed");
        Train("killed", type, 8);
        var checkpoint = File.ReadAllBytes(Path.Combine(killed, "checkpoint.bin"));
        Train("killed", type, 10);
        File.WriteAllBytes(Path.Combine(killed, "checkpoint.bin"), checkpoint);
        File.WriteAllBytes(Path.Combine(killed, "checkpoint.bin.partial"), checkpoint[..1000]);
        var resumed = Train("killed", type, 20);

        Assert.Equal(straight, resumed);
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(folder, "straight", "checkpoint.bin")), File.ReadAllBytes(Path.Combine(killed, "checkpoint.bin")));
    }

    [Fact]
    public void The_loss_falls()
    {
        var lines = Train("falls", TorchSharp.torch.ScalarType.Float32, 60, Options with { Steps = 60 });
        Assert.True(lines[^1].Loss < 0.6 * lines[0].Loss, $"{lines[0].Loss} to {lines[^1].Loss}");
    }

    [Fact]
    public void Accumulated_passes_equal_one_large_pass()
    {
        var split = Train("split", TorchSharp.torch.ScalarType.Float32, 5);
        var whole = Train("whole", TorchSharp.torch.ScalarType.Float32, 5, Options with { MicroBatchSize = null });
        Assert.All(split.Zip(whole), pair => Assert.Equal(pair.First.Loss, pair.Second.Loss, 4));
    }

    [Fact]
    public void Steps_with_unusable_losses_are_dropped_and_many_of_them_end_the_run()
    {
        using var model = new TinyModel();
        using var trainer = New(model, "diverges", Options with { Steps = 100 });
        trainer.Run(2, null, CancellationToken.None);
        using var before = trainer.Optimizer.Master("hidden").clone();
        model.FalseLoss = double.NaN;
        trainer.Run(4, null, CancellationToken.None);
        Assert.Equal(before, trainer.Optimizer.Master("hidden"), (a, b) => a!.bytes.SequenceEqual(b!.bytes));
        Assert.Equal((4, 2), (trainer.Step, trainer.Optimizer.Steps));
        Assert.Throws<TrainingDivergedException>(() => trainer.Run(100, null, CancellationToken.None));
        var guard = new StepGuard { SmoothedLoss = 1 };
        Assert.False(guard.Accepts(0, 3.5, 1));
        Assert.False(guard.Accepts(0, 1, double.PositiveInfinity));
        Assert.True(guard.Accepts(0, 1.5, 1));
    }

    [Fact]
    public void A_checkpoint_of_another_recipe_or_a_damaged_one_is_refused()
    {
        Train("other", TorchSharp.torch.ScalarType.Float32, 4);
        using var model = new TinyModel();
        var windows = new TokenWindows(TinyModel.Documents(), 7, 1);
        var other = Path.Combine(folder, "other");
        Assert.Throws<ModelFileException>(() => new Trainer(model, windows, Options, "another fingerprint", other));
        var path = Path.Combine(other, "checkpoint.bin");
        var good = File.ReadAllBytes(path);
        foreach (var damage in new Func<byte[], byte[]>[] { b => b[..^40], b => [.. b[..600], (byte)(b[600] ^ 1), .. b[601..]], b => b[..2], _ => [255, 255, 255, 255] })
        {
            File.WriteAllBytes(path, damage(good));
            Assert.Throws<ModelFileException>(() => New(model, "other", Options));
        }
    }

    [Fact]
    public void Cancelling_leaves_a_checkpoint_of_the_last_step()
    {
        using var model = new TinyModel();
        using var trainer = New(model, "cancelled", Options);
        using var source = new CancellationTokenSource();
        var listener = new Listener(e =>
        {
            if (e is TrainingStep { Step: 5 }) source.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => trainer.Run(20, listener, source.Token));
        using var again = New(model, "cancelled", Options);
        Assert.Equal(5, again.Step);
        Assert.Equal(5, TrainingLog.Read(Path.Combine(folder, "cancelled", "log.jsonl")).Count());
    }

    [Fact]
    public void Training_leaves_no_tensors_behind()
    {
        Train("warm", TorchSharp.torch.ScalarType.BFloat16, 3);
        // What earlier tests left to the garbage collector must not go while this one counts.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = TorchSharp.torch.Tensor.TotalCount;
        Train("leak", TorchSharp.torch.ScalarType.BFloat16, 9);
        Assert.Equal(before, TorchSharp.torch.Tensor.TotalCount);
    }

    Trainer New(TinyModel model, string name, OptimizationRecipe options) =>
        new(model, new TokenWindows(TinyModel.Documents(), 7, 1), options, "fingerprint", Path.Combine(folder, name));

    List<TrainingLogLine> Train(string name, TorchSharp.torch.ScalarType type, int until, OptimizationRecipe? options = null)
    {
        using var model = new TinyModel(type);
        using var trainer = New(model, name, options ?? Options);
        trainer.Run(until, null, CancellationToken.None);
        return [.. TrainingLog.Read(Path.Combine(folder, name, "log.jsonl"))];
    }

    sealed class Listener(Action<RunEvent> heard) : IProgress<RunEvent>
    {
        public void Report(RunEvent value) => heard(value);
    }
}
