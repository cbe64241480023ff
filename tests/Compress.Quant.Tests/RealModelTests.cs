using Compress.Contract;
using Compress.Quant.Methods;
using Compress.Testing;

namespace Compress.Quant.Tests;

public class RealModelTests
{
    [SharedDataFact]
    public void Gptq_stays_closer_to_a_language_model_than_rounding()
    {
        var original = StoriesModel.Loss(null);
        // The published loss of this model is 1.29 on stories of one kind; these windows run across stories.
        Assert.InRange(original, 1.1, 1.8);
        foreach (var bits in new[] { 3, 4 })
        {
            var rtn = StoriesModel.Loss(new Rtn(new() { Bits = bits, GroupSize = 32 }));
            foreach (var activationOrder in new[] { false, true })
            {
                var gptq = StoriesModel.Loss(new Gptq(new() { Bits = bits, GroupSize = 32, ActivationOrder = activationOrder }));
                Assert.InRange(gptq, original, original + (rtn - original) * 0.9);
            }
        }
    }

    [SharedDataFact]
    public void Tables_stay_closer_than_rounding_and_outliers_closer_still()
    {
        var original = StoriesModel.Loss(null);
        var rtn = StoriesModel.Loss(new Rtn(new() { Bits = 3, GroupSize = -1 }));
        var dense = StoriesModel.Loss(new SqueezeLlm(new() { Bits = 3, Outliers = 0, Sensitive = 0 }));
        var apart = StoriesModel.Loss(new SqueezeLlm(new() { Bits = 3 }));
        var plain = StoriesModel.Loss(new SqueezeLlm(new() { Bits = 3, Outliers = 0, Sensitive = 0, Sensitivity = SqueezeLlm.Sensitivities.None }));
        Assert.InRange(apart, original, dense);
        Assert.InRange(dense, original, plain);
        Assert.InRange(plain, original, original + (rtn - original) * 0.7);
    }
}
