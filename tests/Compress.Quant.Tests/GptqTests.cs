using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Quant.Grids;
using Compress.Quant.Methods;
using static TorchSharp.torch;

namespace Compress.Quant.Tests;

public class GptqTests
{
    [Theory]
    [InlineData(40, 96, 4, -1, false, false, false, false)]
    [InlineData(40, 200, 3, -1, true, false, false, true)]
    [InlineData(33, 300, 4, 128, false, false, false, false)]
    [InlineData(20, 300, 4, 32, false, false, false, false)]
    [InlineData(20, 300, 2, 32, true, true, false, false)]
    [InlineData(20, 290, 3, 48, false, true, true, false)]
    [InlineData(20, 290, 4, 200, false, false, false, true)]
    [InlineData(20, 290, 8, 200, false, true, false, false)]
    [InlineData(20, 170, 4, 64, true, true, true, true)]
    [InlineData(150, 130, 4, 5, false, false, false, false)]
    public void Codes_are_those_of_the_published_algorithm(
        int rows, int columns, int bits, int groupSize, bool symmetric, bool activationOrder, bool staticGroups, bool mse)
    {
        using var scope = NewDisposeScope();
        using var hessian = Layers.Hessian(columns, 3 * columns, 1);
        var w = randn(rows, columns, generator: new Generator(2)) * 0.05;
        var plain = new PlainGptq
        {
            Bits = bits, GroupSize = groupSize, Symmetric = symmetric, ActivationOrder = activationOrder, StaticGroups = staticGroups, Mse = mse,
        };
        var (codes, decoded) = plain.Run(Layers.Double(w), Layers.Double(hessian.ToMatrix()));
        var log = new SiteLog();
        var options = new Gptq.Options
        {
            Bits = bits, GroupSize = groupSize, Symmetric = symmetric, ActivationOrder = activationOrder, StaticGroups = staticGroups, Mse = mse,
            ScaleType = ScaleType.F32,
        };
        using var result = new Gptq(options).Apply(Layers.View(w), new StatisticsSet([hessian]), log);

        var different = Layers.RowsThatDiffer(codes, result.Quantized!, plain.TieDistance, hessian, activationOrder);
        Assert.InRange(different, 0, rows / 20);
        Assert.Equal(plain.Loss, log.Loss!.Value, plain.Loss * (different == 0 ? 1e-4 : 1e-2));
        Assert.Equal(Rung.None, log.Rung);
        var error = Layers.OutputError(w, result.Weight, hessian);
        var plainError = Layers.OutputError(w, Layers.Single(decoded), hessian);
        Assert.InRange(error, 0, different == 0 ? plainError * (1 + 1e-6) : plainError * 1.01);
    }
}
