using Compress.Core.Planning;
using Compress.Core.Recipes;
using Compress.Core.Tests.Pipeline;
using Compress.Formats.Checkpoints;

namespace Compress.Core.Tests.Planning;

[Collection(nameof(WholeRuns))]
public sealed class RunEstimateTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void Each_part_of_a_run_has_its_time_and_more_work_takes_longer()
    {
        var recipe = tiny.Recipe(TinyRun.Wanda(), TinyRun.Rtn(calibrated: false)) with
        {
            Evaluate = [new PerplexityRecipe { Data = tiny.Text, Window = 32 }],
        };
        using var model = ModelFolder.Open(tiny.Model);
        var estimate = RunEstimate.Measure(recipe, model);
        Assert.Equal(2, estimate.Stages.Count);
        Assert.All(estimate.Stages.Append(estimate.Evaluation).Append(estimate.Export), s => Assert.InRange(s, 1e-6, 60));
        Assert.True(estimate.Seconds > estimate.Stages.Sum() + estimate.Evaluation + estimate.Export);

        var large = RunEstimate.Measure(recipe with { Calibration = recipe.Calibration! with { Samples = 500_000 } }, model);
        Assert.True(large.Stages[0] > 20 * estimate.Stages[0], $"{estimate.Stages[0]} and {large.Stages[0]} s");
        Assert.True(large.Stages[1] < 20 * estimate.Stages[1], "a stage that takes no statistics does not calibrate");
        var few = RunEstimate.Measure(recipe with { Evaluate = [new PerplexityRecipe { Data = tiny.Text, Window = 32, MaxWindows = 1 }] }, model);
        Assert.True(few.Evaluation < estimate.Evaluation / 3, $"{estimate.Evaluation} and {few.Evaluation} s");
    }
}
