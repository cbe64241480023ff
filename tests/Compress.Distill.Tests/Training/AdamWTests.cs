using Compress.Distill.Training;
using static TorchSharp.torch;

namespace Compress.Distill.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class AdamWTests
{
    static readonly OptimizationRecipe Options = new() { WeightDecay = 0.3, Beta1 = 0.8, Beta2 = 0.9, Epsilon = 1e-6 };

    public AdamWTests() => Core.Torch.TorchBackend.EnsureLoaded();

    [Fact]
    public void Steps_equal_the_formula_in_double()
    {
        double[] decaying = [0.5, -1.25, 2], plain = [1, -3];
        using var a = tensor(decaying, float32).requires_grad_(true);
        using var b = tensor(plain, float32).requires_grad_(true);
        using var optimizer = new AdamW([new("b", b, false), new("a", a, true)], Options);
        var expectedA = new Naive(decaying, Options.WeightDecay);
        var expectedB = new Naive(plain, 0);
        for (var step = 1; step <= 5; step++)
        {
            var factor = step * 0.7 - 2;
            using (var loss = (a * a * factor).sum() + (b * b * b).sum()) loss.backward();
            optimizer.CollectGradients();
            expectedA.Step([.. expectedA.Weights.Select(w => 2 * w * factor * 0.5)], 0.01 * step);
            expectedB.Step([.. expectedB.Weights.Select(w => 3 * w * w * 0.5)], 0.01 * step);
            optimizer.Step(0.01 * step, gradientScale: 0.5);
        }
        Equal(expectedA.Weights, a);
        Equal(expectedB.Weights, b);
    }

    [Fact]
    public void Steps_equal_the_library_optimiser()
    {
        using var scope = NewDisposeScope();
        var ours = randn(7, 5).requires_grad_(true);
        using var parameter = new TorchSharp.Modules.Parameter(ours.detach().clone());
        using var optimizer = new AdamW([new("w", ours, true)], Options);
        using var reference = optim.AdamW([parameter], 0.02, Options.Beta1, Options.Beta2, Options.Epsilon, Options.WeightDecay);
        var target = randn(7, 5);
        for (var step = 0; step < 6; step++)
        {
            (ours - target).pow(2).sum().backward();
            optimizer.CollectGradients();
            optimizer.Step(0.02, 1);
            reference.zero_grad();
            (parameter - target).pow(2).sum().backward();
            reference.step();
        }
        Assert.True((ours - parameter).abs().max().item<float>() < 2e-6);
    }

    [Fact]
    public void Gradients_of_several_passes_add_up_in_single_precision()
    {
        using var w = ones([1], bfloat16).requires_grad_(true);
        using var optimizer = new AdamW([new("w", w, false)], Options);
        for (var pass = 0; pass < 3; pass++)
        {
            // 256 + 1 is not a bf16 number; the sum must keep the 1.
            using var loss = (w * (pass == 0 ? 256.0 : 1.0)).sum();
            loss.backward();
            optimizer.CollectGradients();
        }
        Assert.Equal(258, optimizer.GradientNorm());
        optimizer.ClearGradients();
        Assert.Equal(0, optimizer.GradientNorm());
    }

    [Fact]
    public void Small_steps_reach_bf16_weights_through_their_masters()
    {
        using var w = ones([1], bfloat16).requires_grad_(true);
        using var optimizer = new AdamW([new("w", w, false)], Options);
        for (var step = 0; step < 40; step++)
        {
            using var loss = w.sum();
            loss.backward();
            optimizer.CollectGradients();
            optimizer.Step(0.0005, 1);
        }
        using var master = optimizer.Master("w").detach();
        Assert.Equal(1 - 40 * 0.0005, master.item<float>(), 4);
        using var single = w.detach().to(float32);
        Assert.Equal(0.98, single.item<float>(), 2);
    }

    static void Equal(double[] expected, Tensor actual)
    {
        using var copy = actual.detach().clone();
        var values = copy.data<float>().ToArray();
        for (var i = 0; i < expected.Length; i++) Assert.Equal(expected[i], values[i], 5);
    }

    /// <summary>Algorithm 2 of arXiv:1711.05101, in double.</summary>
    sealed class Naive(double[] start, double decay)
    {
        readonly double[] m = new double[start.Length], v = new double[start.Length];
        int step;

        public double[] Weights { get; } = [.. start];

        public void Step(double[] gradient, double rate)
        {
            step++;
            for (var i = 0; i < Weights.Length; i++)
            {
                m[i] = Options.Beta1 * m[i] + (1 - Options.Beta1) * gradient[i];
                v[i] = Options.Beta2 * v[i] + (1 - Options.Beta2) * gradient[i] * gradient[i];
                var corrected = m[i] / (1 - Math.Pow(Options.Beta1, step));
                var root = Math.Sqrt(v[i] / (1 - Math.Pow(Options.Beta2, step)));
                Weights[i] = Weights[i] - rate * decay * Weights[i] - rate * corrected / (root + Options.Epsilon);
            }
        }
    }
}
