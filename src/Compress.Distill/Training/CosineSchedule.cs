namespace Compress.Distill.Training;

/// <summary>Linear warm-up, then half a cosine down to a share of the peak.</summary>
/// <remarks>
/// Loshchilov and Hutter 2017, arXiv:1608.03983, section 3, without restarts. With step s counted from 0, warm-up w and
/// total t: <c>peak · (s+1)/w</c> below w, then <c>peak · (f + (1−f) · (1 + cos(π · (s−w)/(t−1−w)))/2)</c>, which is the peak
/// at s = w and <c>f · peak</c> at s = t−1.
/// </remarks>
/// <param name="Peak">Highest learning rate.</param>
/// <param name="WarmupSteps">Steps of warm-up.</param>
/// <param name="TotalSteps">Steps in all.</param>
/// <param name="FinalShare">Share of the peak that is left at the last step.</param>
public readonly record struct CosineSchedule(double Peak, int WarmupSteps, int TotalSteps, double FinalShare)
{
    /// <summary>Learning rate of a step; steps from <see cref="TotalSteps"/> on keep the last rate.</summary>
    /// <param name="step">Step, counted from 0.</param>
    public double RateAt(int step)
    {
        if (step < WarmupSteps) return Peak * (step + 1) / WarmupSteps;
        var span = TotalSteps - 1 - WarmupSteps;
        var done = span <= 0 ? 1 : Math.Min(1, (double)(step - WarmupSteps) / span);
        return Peak * (FinalShare + (1 - FinalShare) * 0.5 * (1 + Math.Cos(Math.PI * done)));
    }
}
