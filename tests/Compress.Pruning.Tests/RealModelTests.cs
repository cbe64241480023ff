using Compress.Contract;
using Compress.Core.Methods;
using Compress.Pruning.Methods;
using Compress.Testing;

namespace Compress.Pruning.Tests;

public class RealModelTests
{
    [SharedDataTheory]
    [InlineData("unstructured", 0.5)]
    [InlineData("2:4", null)]
    public void Wanda_stays_closer_to_a_language_model_than_magnitude(string pattern, double? sparsity)
    {
        var where = Pattern.Parse(pattern);
        var original = StoriesModel.Loss(null);
        var wanda = StoriesModel.Loss(new Wanda(new() { Sparsity = sparsity, Pattern = where }));
        var magnitude = StoriesModel.Loss(new Magnitude(new() { Sparsity = sparsity, Pattern = where }));
        Assert.True(original < wanda && wanda < magnitude, $"{original} < {wanda} < {magnitude}");
    }
}
