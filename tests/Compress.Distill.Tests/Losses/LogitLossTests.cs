using Compress.Core.Graph;
using Compress.Distill.Losses;
using Compress.Distill.Tests.Training;
using static TorchSharp.torch;

namespace Compress.Distill.Tests.Losses;

/// <summary>Losses of logits against their definitions in plain loops, and their gradients against differences.</summary>
[Collection(TorchTests.Name)]
public sealed class LogitLossTests
{
    const int Positions = 3, Vocabulary = 5;

    public LogitLossTests() => Core.Torch.TorchBackend.EnsureLoaded();

    public static TheoryData<DistillationLoss> Losses =>
    [
        new HardLabels(),
        new ForwardKl(),
        new ForwardKl { Temperature = 2.5 },
        new ReverseKl(),
        new ReverseKl { Temperature = 0.7 },
        new JensenShannon(),
        new JensenShannon { Beta = 0.1, Temperature = 3 },
    ];

    [Theory]
    [MemberData(nameof(Losses))]
    public void A_loss_is_what_its_definition_says(DistillationLoss loss)
    {
        using var scope = NewDisposeScope();
        var (student, teacher, targets) = Inputs();
        var (actual, _) = ((ILogitLoss)loss).Evaluate(Matrix(student), Matrix(teacher), tensor(targets), differentiate: false);
        for (var i = 0; i < Positions; i++)
            Assert.Equal(Naive(loss, student[i], teacher[i], targets[i]), actual[i].item<double>(), 1e-12);
    }

    [Theory]
    [MemberData(nameof(Losses))]
    public void A_gradient_is_the_limit_of_differences(DistillationLoss loss)
    {
        using var scope = NewDisposeScope();
        var (student, teacher, targets) = Inputs();
        var (_, gradient) = ((ILogitLoss)loss).Evaluate(Matrix(student), Matrix(teacher), tensor(targets), differentiate: true);
        const double Step = 1e-5;
        for (var i = 0; i < Positions; i++)
        {
            for (var j = 0; j < Vocabulary; j++)
            {
                double At(double change)
                {
                    var moved = student[i].ToArray();
                    moved[j] += change;
                    return Naive(loss, moved, teacher[i], targets[i]);
                }
                Assert.Equal((At(Step) - At(-Step)) / (2 * Step), gradient![i, j].item<double>(), 1e-8);
            }
        }
    }

    [Fact]
    public void Terms_are_weighted_and_added_up()
    {
        using var scope = NewDisposeScope();
        var (student, teacher, targets) = Inputs();
        var sum = LogitLosses.Of([new ForwardKl { Temperature = 2, Weight = 5 }, new HiddenStates(), new HardLabels { Weight = 2 }])!;
        Assert.True(sum.ComparesWithTeacher);
        var (loss, gradient) = sum.Evaluate(Matrix(student), Matrix(teacher), tensor(targets), differentiate: true);
        var (kl, klGradient) = new ForwardKl { Temperature = 2 }.Evaluate(Matrix(student), Matrix(teacher), tensor(targets), true);
        var (hard, hardGradient) = new HardLabels().Evaluate(Matrix(student), null, tensor(targets), true);
        Assert.True(loss.allclose(kl * 5 + hard * 2, 1e-12));
        Assert.True(gradient!.allclose(klGradient! * 5 + hardGradient! * 2, 1e-12));
        Assert.Null(LogitLosses.Of([new HiddenStates()]));
    }

    [Fact]
    public void Logits_far_apart_give_numbers()
    {
        using var scope = NewDisposeScope();
        var student = tensor(new[] { 0f, 200f, -200f }).unsqueeze(0);
        var teacher = tensor(new[] { 200f, 0f, -200f }).unsqueeze(0);
        foreach (DistillationLoss loss in Losses)
        {
            var (value, gradient) = ((ILogitLoss)loss).Evaluate(student, teacher, tensor(new[] { 2L }), true);
            Assert.True(value.isfinite().all().item<bool>(), $"{loss}");
            Assert.True(gradient!.isfinite().all().item<bool>(), $"{loss}");
        }
    }

    static double Naive(DistillationLoss loss, double[] student, double[] teacher, long target)
    {
        double Kl(double[] a, double[] b) => a.Zip(b, (x, y) => x * Math.Log(x / y)).Sum();
        double[] Softmax(double[] z, double t)
        {
            var e = z.Select(x => Math.Exp(x / t)).ToArray();
            return [.. e.Select(x => x / e.Sum())];
        }
        switch (loss)
        {
            case HardLabels: return -Math.Log(Softmax(student, 1)[target]);
            case ForwardKl f: return f.Temperature * f.Temperature * Kl(Softmax(teacher, f.Temperature), Softmax(student, f.Temperature));
            case ReverseKl r: return r.Temperature * r.Temperature * Kl(Softmax(student, r.Temperature), Softmax(teacher, r.Temperature));
            case JensenShannon s:
                var (p, q) = (Softmax(teacher, s.Temperature), Softmax(student, s.Temperature));
                double[] m = [.. p.Zip(q, (x, y) => s.Beta * x + (1 - s.Beta) * y)];
                return s.Temperature * s.Temperature * (s.Beta * Kl(p, m) + (1 - s.Beta) * Kl(q, m));
            default: throw new ArgumentException(loss.ToString());
        }
    }

    static (double[][] Student, double[][] Teacher, long[] Targets) Inputs()
    {
        var random = new Random(3);
        double[][] Rows() => [.. Enumerable.Range(0, Positions).Select(_ => Enumerable.Range(0, Vocabulary).Select(_ => 6 * random.NextDouble() - 3).ToArray())];
        return (Rows(), Rows(), [4, 0, 2]);
    }

    static Tensor Matrix(double[][] rows) => tensor(rows.SelectMany(r => r).ToArray(), [Positions, Vocabulary]);
}
