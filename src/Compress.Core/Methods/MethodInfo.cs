using System.Reflection;

namespace Compress.Core.Methods;

/// <summary>A method as the catalogue knows it.</summary>
/// <param name="Attribute">Name, kind, summary and paper.</param>
/// <param name="Type">The method's class.</param>
/// <param name="OptionsType">Its nested <c>Options</c> record.</param>
/// <param name="Constructor">The constructor that takes the options.</param>
public sealed record MethodInfo(MethodAttribute Attribute, Type Type, Type OptionsType, ConstructorInfo Constructor)
{
    /// <summary>Makes the method.</summary>
    /// <param name="options">An instance of <see cref="OptionsType"/>.</param>
    public IMethod Create(object options) => (IMethod)Constructor.Invoke([options]);
}
