using Compress.Core.Graph;
using Compress.Distill.Losses;
using Compress.Distill.Training;
using Compress.Distill.Weights;
using Compress.Formats.Architectures;
using static TorchSharp.torch;

namespace Compress.Distill.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class DistillationModelTests
{
    static readonly ModelSpec Wide = SyntheticModel.Llama(hidden: 16, mlp: 32, layers: 4, heads: 4, keyValueHeads: 2, vocabulary: 40, maxPositions: 64).Spec;
    static readonly ModelSpec Narrow = SyntheticModel.Llama(hidden: 8, mlp: 24, layers: 2, heads: 2, keyValueHeads: 2, vocabulary: 40, maxPositions: 64).Spec;

    static readonly DistillationLoss[] Everything =
        [new ForwardKl { Temperature = 2, Weight = 5 }, new HardLabels { Weight = 0.5 }, new HiddenStates(), new Relations { Layers = LayerMap.Uniform, Heads = 2 }];

    public DistillationModelTests() => Core.Torch.TorchBackend.EnsureLoaded();

    [Fact]
    public void The_gradient_of_all_terms_is_that_of_the_whole_computation()
    {
        using var scope = NewDisposeScope();
        using var teacher = ModelGraph.Random(Wide, 1, float32, CPU);
        using var student = ModelGraph.Random(Wide, 2, float32, CPU);
        using var model = Model(student, teacher, [new ForwardKl { Temperature = 2, Weight = 3 }, new HiddenStates { Layers = LayerMap.Last }]);
        var tokens = Tokens();

        var loss = model.Backward(tokens, 0.5);
        var ours = student.NamedParameters.Select(p => p.Value.grad!.clone()).ToList();
        foreach (var (_, value) in student.NamedParameters) value.grad!.zero_();
        var ids = tokens.narrow(1, 0, 21);
        var (q, p) = ((student.Forward(ids) / 2).log_softmax(-1), (teacher.Forward(ids) / 2).softmax(-1));
        var (mine, wanted) = (student.Hidden(ids), teacher.Hidden(ids));
        var expected = 3 * 4 * (p * (p.log() - q)).sum(dim: -1).mean() + (mine - wanted).square().mean() / wanted.square().mean();
        (expected * 0.5).backward();

        Assert.Equal(expected.item<float>(), loss, 4);
        foreach (var ((name, value), gradient) in student.NamedParameters.Zip(ours))
        {
            var error = (gradient - value.grad!).norm().item<float>() / value.grad!.norm().item<float>();
            Assert.True(error < 1e-3, $"{name}: {error}");
        }
    }

    [Fact]
    public void A_student_of_another_shape_comes_nearer_to_its_teacher()
    {
        using var teacher = ModelGraph.Random(Wide, 1, float32, CPU);
        using var student = ModelGraph.Random(Narrow, 2, float32, CPU);
        using var model = Model(student, teacher, Everything);
        Assert.Equal(2, model.Parameters.Count(p => p.Name.StartsWith("projection.", StringComparison.Ordinal)));
        using var optimizer = new AdamW(model.Parameters, new OptimizationRecipe());
        using var tokens = Tokens();
        var losses = Enumerable.Range(0, 40).Select(_ =>
        {
            var loss = model.Backward(tokens, 1);
            optimizer.CollectGradients();
            optimizer.Step(0.01, 1);
            return loss;
        }).ToList();
        Assert.True(losses[^1] < 0.8 * losses[0], $"{losses[0]} to {losses[^1]}");
    }

    [Fact]
    public void Two_hundred_steps_leave_no_tensors_behind()
    {
        using var teacher = ModelGraph.Random(Wide, 1, float32, CPU);
        using var student = ModelGraph.Random(Narrow, 2, float32, CPU);
        using var model = Model(student, teacher, Everything);
        using var optimizer = new AdamW(model.Parameters, new OptimizationRecipe());
        using var tokens = Tokens();
        void Steps(int count)
        {
            for (var step = 0; step < count; step++)
            {
                model.Backward(tokens, 1);
                optimizer.CollectGradients();
                optimizer.Step(0.001, 1);
                model.WeightsChanged();
            }
        }
        Steps(3);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = Tensor.TotalCount;
        Steps(200);
        Assert.Equal(before, Tensor.TotalCount);
    }

    static DistillationModel Model(ModelGraph student, ModelGraph teacher, IReadOnlyList<DistillationLoss> losses) => new(
        student, teacher, [.. student.NamedParameters.Select(p => new FreeWeight(p.Name, p.Value, false, null))], losses);

    static Tensor Tokens()
    {
        using var generator = new Generator(5);
        return randint(0, 40, [3, 22], int64, generator: generator);
    }
}
